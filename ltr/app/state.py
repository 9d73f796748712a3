"""What a run is doing, as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from ltr.app.job import Job
from ltr.app.listing import measured
from ltr.app.place import Place
from ltr.html.markup import escape, picture, sentence
from ltr.measures import shown
from ltr.run.folder import RunFolder

VERBS = {"fit": "training", "test": "testing"}


def standing(place: Place, name: str) -> str:
    """Return how far a run is, or what became of it."""
    job = Job.of(place, name)
    if not job.known:
        return f"<p><b>{escape(name)}</b>: started by the command line.</p>" + results(place, name)
    state = job.state
    head = f'<p><b>{escape(name)}</b> <span class="state {state}">{state}</span></p>'
    if state == "running":
        return head + going(job)
    if state == "failed":
        return head + sentence(job.failure or "It ended without a word; see the log.", kind="failure")
    if state == "stopped":
        return head + sentence("It was stopped. What the last checkpoint holds is kept; Resume goes on from there.")
    return head + results(place, name)


def going(job: Job) -> str:
    """Return the bar of a run at work, with the time left."""
    commands, step = job.commands, job.step
    verb = VERBS.get(commands[step][0], commands[step][0])
    doing = f"{verb}, command {step + 1} of {len(commands)}"
    progress = job.progress if verb == "training" else None
    if progress is None:
        return f"<p>{escape(doing)}</p>{bar(0 if step == 0 else 100)}"
    left = "" if "?" in progress.left else f", {progress.left} left"
    words = f"epoch {progress.epoch:.0f} of {progress.epochs}{left}; {progress.words}".removesuffix("; ")
    return f"<p>{escape(doing)}: {escape(words)}</p>{bar(100 * progress.epoch / progress.epochs)}"


def course(job: Job, steps: Sequence[str]) -> str:
    """Return how far a job of several steps is, in one bar for all.

    Args:
        job: what is at work, or over.
        steps: what each of its commands does.
    """
    state = job.state
    if state == "finished":
        return sentence(f"`{job.name}` is finished.")
    at = f"command {job.step + 1} of {len(steps)}"
    if state != "running":
        why = f": {job.failure}" if state == "failed" else ", so there may be no result. Its last checkpoint is kept."
        return sentence(f"{job.name} {state} at {at}{why}", kind="failure")
    text, done = f"{at.capitalize()}, {steps[job.step]}", float(job.step)
    if job.step == 0 and (progress := job.progress) is not None:
        text += f": epoch {progress.epoch:g} of {progress.epochs}, {progress.left} left. {progress.words}"
        done += progress.epoch / max(progress.epochs, 1)
    return f"{bar(100 * done / len(steps))}<p>{escape(text)}</p>"


def bar(percent: float) -> str:
    """Return a bar."""
    shown = f"{percent:.0f}"
    return (
        f'<div class="bar" role="progressbar" aria-valuenow="{shown}" aria-valuemin="0" aria-valuemax="100">'
        f'<div style="width: {shown}%"></div></div>'
    )


def results(place: Place, name: str) -> str:
    """Return the figures of the test of a run."""
    if not (metrics := measured(RunFolder(place.run(name)))):
        return "<p>It was not tested.</p>"
    cells = "".join(
        f"<div><b>{measure.scale * metrics[measure.key]:.1f}</b><span>{measure.title} ({measure.unit})</span></div>"
        for measure in shown("summary")
    )
    return f'<div class="figures-row">{cells}</div>'


def curves(place: Place, name: str) -> str:
    """Return loss, top-1, GM, HM and lowest recall in the course of a run, empty where there is no epoch yet."""
    from ltr.app.drawing import drawing
    from ltr.report import figures

    with drawing():
        figure = figures.training(RunFolder(place.runs / name).curves, columns=2)
        return "" if figure is None else picture(figure, "loss, top-1, GM, HM and lowest recall per epoch")
