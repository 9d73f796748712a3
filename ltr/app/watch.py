"""A running training: progress, curves, log; stop and resume."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.listing import measured
from ltr.app.show_errors import show_errors
from ltr.app.worker import resume
from ltr.errors import InputError
from ltr.html.markup import escape, sentence
from ltr.measures import shown
from ltr.run.folder import RunFolder
from ltr.run.job import Job

INTERVAL = 1.5  # seconds between two looks at the run
LINES = 400  # of the log that are shown
VERBS = {"fit": "training", "test": "testing"}
BAR = re.compile(r"(\d+)%\|[^|]*\| *([\d.]+)/(\d+) \[([\d:]+)<([\d:?]+), [^\]]*?(?:epoch|s/epoch)?(?:, ([^\]]*))?\]")


def watch(paths: AllowedPaths) -> gr.Dropdown:
    """Make the view; return the dropdown of the run that is shown."""
    run = gr.Dropdown(
        value=lambda: latest(paths),
        label="Run",
        info="Training continues if you close this page.",
        allow_custom_value=True,
        elem_id="watched-run",
    )
    status = gr.HTML(elem_id="status")
    with gr.Row():
        stop = gr.Button("Stop", interactive=False)
        again = gr.Button("Resume", interactive=False)
    picture = gr.HTML(elem_id="curves")
    with gr.Accordion("Log", open=False):
        log = gr.Textbox(show_label=False, lines=12, max_lines=12, autoscroll=True, elem_id="log", interactive=False)
    seen = gr.State(())
    shown = [status, picture, log, stop, again, seen]

    def look(name: str | None, before: tuple[Any, ...]) -> Any:
        """Show a run if something has changed, or once why it cannot be shown."""
        try:
            now = trace(paths, name)
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
        from ltr.app.figures import curves

        job = paths.job(name)
        lines = "\n".join(job.log.splitlines()[-LINES:])
        drawn = curves(paths, name) if not before or now[:3] != tuple(before)[:3] else gr.skip()
        if job.known:
            state: str = job.state
        else:
            state = "none" if job.running else ("finished" if measured(RunFolder(paths.run(name))) else "stopped")
        return [standing(paths, name), drawn, lines, *buttons(state), now]

    @show_errors
    def halt(name: str) -> None:
        paths.job(name).stop()

    @show_errors
    def begin_again(name: str) -> None:
        resume(paths, name)

    run.focus(lambda: gr.Dropdown(choices=choices(paths)), None, run)
    timer = gr.Timer(INTERVAL)
    gr.on([timer.tick, run.change], look, [run, seen], shown, show_progress="hidden", queue=True, trigger_mode="once")
    stop.click(halt, run, None, api_name="stop_run")
    again.click(begin_again, run, None, api_name="resume_run")
    return run


def standing(paths: AllowedPaths, name: str) -> str:
    """Return the progress of a run, or its result."""
    job = paths.job(name)
    if not job.known:
        what = "another command is working on it" if job.running else "started on the command line"
        return f"<p><b>{escape(name)}</b>: {what}.</p>" + results(paths, name)
    state = job.state
    head = f'<p><b>{escape(name)}</b> <span class="state {state}">{state}</span></p>'
    if state == "running":
        return head + under_way(job)
    if state == "failed":
        return head + sentence(job.failure or "It ended without an error message; see the log.", kind="failure")
    if state == "stopped":
        return head + sentence("Stopped. Resume continues from the last checkpoint.")
    return head + results(paths, name)


def under_way(job: Job) -> str:
    """Return the progress bar of a running job, with the time left."""
    commands, step = job.commands, job.step
    verb = VERBS.get(commands[step][0], commands[step][0])
    doing = f"{verb}, command {step + 1} of {len(commands)}"
    progress = read_progress(job.log) if verb == "training" else None
    if progress is None:
        return f"<p>{escape(doing)}</p>{bar(0 if step == 0 else 100)}"
    left = "" if "?" in progress.left else f", {progress.left} left"
    words = f"epoch {progress.epoch:.0f} of {progress.epochs}{left}; {progress.measures}".removesuffix("; ")
    return f"<p>{escape(doing)}: {escape(words)}</p>{bar(100 * progress.epoch / progress.epochs)}"


def course(job: Job, steps: Sequence[str]) -> str:
    """Return the progress of a job of several steps, in one bar.

    Args:
        job: the job, running or not.
        steps: what each of its commands does.
    """
    state = job.state
    if state == "finished":
        return sentence(f"`{job.name}` is finished.")
    at = f"command {job.step + 1} of {len(steps)}"
    if state != "running":
        why = f": {job.failure}" if state == "failed" else ". Its last checkpoint is kept."
        return sentence(f"{job.name} {state} at {at}{why}", kind="failure")
    text, done = f"{at.capitalize()}, {steps[job.step]}", float(job.step)
    if job.step == 0 and (progress := read_progress(job.log)) is not None:
        text += f": epoch {progress.epoch:g} of {progress.epochs}, {progress.left} left. {progress.measures}"
        done += progress.epoch / max(progress.epochs, 1)
    return f"{bar(100 * done / len(steps))}<p>{escape(text)}</p>"


def bar(percent: float) -> str:
    """Return a progress bar."""
    shown = f"{percent:.0f}"
    return (
        f'<div class="bar" role="progressbar" aria-valuenow="{shown}" aria-valuemin="0" aria-valuemax="100">'
        f'<div style="width: {shown}%"></div></div>'
    )


def results(paths: AllowedPaths, name: str) -> str:
    """Return the test results of a run."""
    if not (metrics := measured(RunFolder(paths.run(name)))):
        return "<p>Not tested.</p>"
    cells = "".join(
        f"<div><b>{measure.scale * metrics[measure.key]:.1f}</b><span>{measure.title} ({measure.unit})</span></div>"
        for measure in shown("summary")
    )
    return f'<div class="figures-row">{cells}</div>'


class Progress(NamedTuple):
    """The progress of a training.

    Attributes:
        epoch: completed epochs, with a fraction.
        epochs: of the whole training.
        left: time left, as `minutes:seconds`.
        measures: loss and measures, as text.
    """

    epoch: float
    epochs: int
    left: str
    measures: str


def read_progress(log: str) -> Progress | None:
    """Return the progress of the last command, as its progress bar says; None if there is none."""
    *_, last = log.rsplit("\n$ ", 1)
    bars = BAR.findall(last)
    if not bars:
        return None
    _, epoch, epochs, _, left, measures = bars[-1]
    return Progress(float(epoch), int(epochs), left, measures)


def latest(paths: AllowedPaths) -> str | None:
    """Return the running job, else the one that was started last."""
    jobs = paths.jobs()
    return next((job.name for job in jobs if job.running), jobs[0].name if jobs else None)


def trace(paths: AllowedPaths, name: str | None) -> tuple[Any, ...]:
    """Return values that change when the run does, those of its curves first."""
    if not name:
        return ("",)
    job = paths.job(name)
    marks = []
    for path in (paths.runs / name / "metrics.csv", job.folder / "log.txt", job.folder / "state.json"):
        stat = path.stat() if path.is_file() else None
        marks += [(stat.st_mtime_ns, stat.st_size) if stat else None]
    return (name, *marks[:2], marks[2], job.running)


def buttons(state: str) -> list[gr.Button]:
    """Return the buttons Stop and Resume for a run in that state."""
    return [gr.Button(interactive=state == "running"), gr.Button(interactive=state in ("stopped", "failed"))]


def choices(paths: AllowedPaths) -> list[str]:
    """Return all runs, those that the page started first."""
    return list(dict.fromkeys([*(job.name for job in paths.jobs()), *paths.names()]))
