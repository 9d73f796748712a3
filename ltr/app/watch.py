"""A run of the page: state, progress, curves, log; stop and resume."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.job import LOG, STATE, Job, beside
from ltr.app.show_errors import show_errors
from ltr.errors import InputError
from ltr.html import escape, sentence
from ltr.measures import percent, shown
from ltr.run.folder import RunFolder

INTERVAL = 1.5  # seconds between two looks at the run
LINES = 400  # of the log that are shown


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
        stop = gr.Button("Stop", visible=False)
        again = gr.Button("Resume", visible=False)
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
            return [sentence(f"{error}", kind="failure"), "", "", *buttons(""), now]

    def view(name: str | None, before: tuple[Any, ...], now: tuple[Any, ...]) -> list[Any]:
        """Return what is shown of a run."""
        if not name:
            return ["<p>No run yet. Choose a method and a data set, then press Start.</p>", "", "", *buttons(""), now]
        from ltr.app.figures import curves

        job = paths.job(name)
        lines = "\n".join(job.log.splitlines()[-LINES:])
        drawn = curves(paths, name) if not before or now[:2] != tuple(before)[:2] else gr.skip()
        return [standing(paths, job), drawn, lines, *buttons(state(RunFolder(paths.runs / name), job)), now]

    @show_errors
    def halt(name: str) -> None:
        job = paths.job(name)
        if not job.known:  # else it may have no run yet
            paths.run(name)
        if not job.running and RunFolder(paths.runs / name).lock.held:
            raise InputError(f"another command is working on the run {name}: stop that command.")
        job.stop()

    @show_errors
    def begin_again(name: str) -> None:
        resume(paths, name)

    run.focus(lambda: gr.Dropdown(choices=choices(paths)), None, run)
    timer = gr.Timer(INTERVAL)
    gr.on([timer.tick, run.change], look, [run, seen], shown, show_progress="hidden", queue=True, trigger_mode="once")
    stop.click(halt, run, None, api_name="stop_run")
    again.click(begin_again, run, None, api_name="resume_run")
    return run


def resume(paths: AllowedPaths, name: str) -> None:
    """Start a process that completes a run.

    Raises:
        InputError: if there is nothing to resume, or a process is working on the run already.
    """
    job = paths.job(name)
    if job.known:
        job.resume()
        return
    run = paths.run(name)
    if not run.checkpoint.is_file() or paths.is_shipped(run):
        raise InputError(
            f"the run {name} cannot be resumed here: it needs a checkpoint, and must not be a shipped one."
        )
    words = paths.trust_words  # without `--config`, so that the config is read as one that comes with a file
    job.start(beside({run.name: {"title": "training", "fit": words, "test": words}}))


def state(run: RunFolder, job: Job) -> str:
    """Return the state of a run: running, failed, stopped (at an epoch), trained, tested or not trained."""
    if job.running or run.lock.held:
        return "running"
    if job.known and job.state == "failed":
        return "failed"
    epoch, epochs = run.trained_epochs, run.planned_epochs
    if run.tested() and not (job.known and job.state == "stopped"):
        return "tested"
    if 0 < epoch < epochs:
        return f"stopped at {epoch}/{epochs}"
    if job.known and job.state == "stopped":
        return "stopped"
    return "trained" if run.checkpoint.is_file() else "not trained"


def standing(paths: AllowedPaths, job: Job) -> str:
    """Return the state of a run, with its progress, its results or the reason of its failure."""
    run = RunFolder(paths.runs / job.name)
    if not job.known and not run.exists:
        run = paths.run(job.name)
    now = state(run, job)
    text = f'<p><b>{escape(job.name)}</b> <span class="state {now.split()[0]}">{escape(now)}</span></p>'
    if job.running:
        return text + job.progress.html
    if now == "running":
        return text + sentence("Another command is working on it.")
    if now == "failed":
        return text + sentence(job.failure or "It ended without an error message; see the log.", kind="failure")
    if now.startswith("stopped"):
        return text + sentence("Resume continues from the last checkpoint.")
    return text + results(run)


def results(run: RunFolder) -> str:
    """Return the test results of a run."""
    if not (metrics := run.measured):
        return ""
    cells = "".join(
        f"<div><b>{percent(metrics.get(measure.key))}</b><span>{measure.title} (%)</span></div>"
        for measure in shown("summary")
    )
    return f'<div class="figures-row">{cells}</div>'


def latest(paths: AllowedPaths) -> str | None:
    """Return the running job, else the one that was started last."""
    jobs = paths.jobs()
    return next((job.name for job in jobs if job.running), jobs[0].name if jobs else None)


def trace(paths: AllowedPaths, name: str | None) -> tuple[Any, ...]:
    """Return values that change when the run does, those of its curves first."""
    if not name:
        return ("",)
    job, run = paths.job(name), RunFolder(paths.runs / name)
    files = (run.curves_file, job.folder / LOG, job.folder / STATE)
    stats = [path.stat() if path.is_file() else None for path in files]
    marks = [(stat.st_mtime_ns, stat.st_size) if stat else None for stat in stats]
    return (name, *marks, job.running or run.lock.held, run.tested())


def buttons(state: str) -> list[gr.Button]:
    """Return the buttons Stop and Resume for a run in that state."""
    return [gr.Button(visible=state == "running"), gr.Button(visible=state.startswith(("stopped", "failed")))]


def choices(paths: AllowedPaths) -> list[str]:
    """Return all runs, those that the page started first."""
    return list(dict.fromkeys([*(job.name for job in paths.jobs()), *paths.names()]))
