"""A run while it is at work: progress, curves, log; stop and resume."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ltr.app.job import Job
from ltr.app.listing import measured
from ltr.app.place import Place
from ltr.app.state import curves, standing
from ltr.app.told import told
from ltr.errors import InputError
from ltr.html.markup import sentence
from ltr.run.folder import RunFolder

EVERY = 1.5  # seconds
LINES = 400


def watch(place: Place) -> gr.Dropdown:
    """Make the view; return the choice of the run that is looked at."""
    run = gr.Dropdown(
        value=lambda: latest(place),
        label="Run",
        info="Runs outlive this page: they are read back from their folders.",
        allow_custom_value=True,
        elem_id="watched-run",
    )
    status = gr.HTML(elem_id="status")
    with gr.Row():
        stop = gr.Button("Stop", interactive=False)
        resume = gr.Button("Resume", interactive=False)
    picture = gr.HTML(elem_id="curves")
    with gr.Accordion("Log", open=False):
        log = gr.Textbox(show_label=False, lines=12, max_lines=12, autoscroll=True, elem_id="log", interactive=False)
    seen = gr.State(())
    shown = [status, picture, log, stop, resume, seen]

    def look(name: str | None, before: tuple[Any, ...]) -> Any:
        """Show a run where something of it has changed, or once why it cannot be shown."""
        try:
            now = trace(place, name)
            return [gr.skip()] * len(shown) if now == tuple(before) else view(name, before, now)
        except InputError as error:
            now = (name, str(error))
            if now == tuple(before):
                return [gr.skip()] * len(shown)
            return [sentence(f"{error}", kind="failure"), "", "", *buttons("none"), now]

    def view(name: str | None, before: tuple[Any, ...], now: tuple[Any, ...]) -> list[Any]:
        """Return what is shown of a run."""
        if not name:
            return ["<p>No run yet.</p>", "", "", *buttons("none"), now]
        job = Job.of(place, name)
        lines = "\n".join(job.log.splitlines()[-LINES:])
        drawn = curves(place, name) if not before or now[:3] != tuple(before)[:3] else gr.skip()
        state = job.state if job.known else ("finished" if measured(RunFolder(place.run(name))) else "stopped")
        return [standing(place, name), drawn, lines, *buttons(state), now]

    @told
    def halt(name: str) -> None:
        Job.of(place, name).stop()

    @told
    def begin_again(name: str) -> None:
        from ltr.app.training import further

        commands, unwanted = further(place, name)
        Job.of(place, name).start(commands, unwanted=unwanted)

    run.focus(lambda: gr.Dropdown(choices=choices(place)), None, run)
    timer = gr.Timer(EVERY)
    gr.on([timer.tick, run.change], look, [run, seen], shown, show_progress="hidden", queue=True, trigger_mode="once")
    stop.click(halt, run, None, api_name="stop_run")
    resume.click(begin_again, run, None, api_name="resume_run")
    return run


def latest(place: Place) -> str | None:
    """Return the run that is at work, else the one that was started last."""
    jobs = Job.all(place)
    return next((job.name for job in jobs if job.running), jobs[0].name if jobs else None)


def trace(place: Place, name: str | None) -> tuple[Any, ...]:
    """Return what changes whenever something of a run does, that of its curves first."""
    if not name:
        return ("",)
    job = Job.of(place, name)
    marks = []
    for path in (RunFolder(place.runs / name).curves_file, job.folder / "log.txt", job.folder / "state.json"):
        stat = path.stat() if path.is_file() else None
        marks += [(stat.st_mtime_ns, stat.st_size) if stat else None]
    return (name, *marks[:2], marks[2], job.running)


def buttons(state: str) -> list[gr.Button]:
    """Return stop and resume, as a run in that state can be."""
    return [gr.Button(interactive=state == "running"), gr.Button(interactive=state in ("stopped", "failed"))]


def choices(place: Place) -> list[str]:
    """Return the runs to look at: those the page started, then all others."""
    return list(dict.fromkeys([*(job.name for job in Job.all(place)), *place.names()]))
