"""The tab that tunes a classifier and compares it with its base, and compares finished runs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.job import LOG, Job, shell
from ltr.app.progress import Progress, modified
from ltr.app.results import QUIET, Results
from ltr.app.show_errors import show_errors
from ltr.app.tuning_form import OWN, filled, form, offered, tested, tunable, tunings
from ltr.html import sentence
from ltr.run.folder import RunFolder

if TYPE_CHECKING:
    from ltr.app.comparison import Comparison

TUNE, RUNS = "Tune and compare", "Compare finished runs"
PULSE = 1.5  # seconds between two looks at a job
LOG_CHARACTERS = 20_000
ABOUT = (
    "Retrain the classifier of a trained network and see what each class gains or loses, compared with the network "
    "before and with post-hoc logit adjustment, a control that needs no training."
)


def compare(paths: AllowedPaths, tab: gr.Tab) -> None:
    """Fill the tab.

    Args:
        paths: that the page may read and write.
        tab: the tab. Its lists are filled when it is opened; nothing can be chosen or started before.
    """
    with gr.Column(elem_id="compare"):
        gr.Markdown(ABOUT)
        mode = gr.Radio([TUNE, RUNS], value=TUNE, show_label=False, container=False)
        with gr.Column() as tune:
            fields, upload, others = form()
            button = gr.Button(TUNE, variant="primary", interactive=False)
            chosen = gr.Dropdown([], label="Tuning", info="Started here, newest first.", interactive=False)
            status = gr.HTML()
            stop = gr.Button("Stop", variant="stop", visible=False)
            with gr.Accordion("Commands and log", open=False):
                commands = gr.Code(label="As commands", language="shell", lines=1, wrap_lines=True)
                log = gr.Textbox(label="Log", info="Output of the commands.", lines=8, max_lines=16, interactive=False)
            of_one = Results.make()
        with gr.Column(visible=False) as finished:
            runs = gr.Dropdown(
                [],
                multiselect=True,
                label="Runs",
                info="Two or more tested runs; the first is drawn as bars.",
                interactive=False,
            )
            of_several = Results.make()
    timer, seen, over = gr.Timer(PULSE, active=False), gr.State(), gr.State()

    def on(triggers: Any, function: Any, inputs: Any, outputs: Any, **options: Any) -> Any:
        return gr.on(triggers, show_errors(functools.partial(function, paths)), inputs, outputs, **options)

    form_lists = [fields[key] for key in ("base", "architecture", "kind", "tail", "loss")]
    on(tab.select, offered, [fields["base"], chosen], [*form_lists, button, chosen, runs], **QUIET)
    on(fields["base"].focus, tunable, [], fields["base"], **QUIET)
    on(runs.focus, tested, [], runs, **QUIET)
    naming = [fields[key] for key in ("base", "file", "loss")]
    on([part.change for part in naming], filled, naming, [fields[key] for key in ("name", "batch", "kind")], **QUIET)
    upload.upload(lambda path: path, upload, fields["file"])
    fields["kind"].change(lambda kind: gr.Column(visible=kind != OWN), fields["kind"], others, **QUIET)
    mode.change(
        lambda mode: [gr.Column(visible=mode == name) for name in (TUNE, RUNS)], mode, [tune, finished], **QUIET
    )

    live = [status, stop, commands, log, timer, seen, over]
    on(button.click, functools.partial(started, tuple(fields)), list(fields.values()), chosen, show_progress="hidden")
    on(chosen.change, watched, chosen, live, **QUIET)
    on(timer.tick, watched, [chosen, seen], live, show_progress="hidden")
    on(stop.click, stopped, chosen, [])
    of_one.fill(functools.partial(tuning_of, paths), [over.change], [chosen])
    of_several.fill(functools.partial(runs_of, paths), [runs.change], [runs])


def started(keys: Sequence[str], paths: AllowedPaths, *values: Any) -> Any:
    """Start a tuning and show it."""
    from ltr.app.tuning import TuningForm

    filled: dict[str, Any] = {key: "" if value is None else value for key, value in zip(keys, values, strict=True)}
    form = TuningForm(**filled | {"kind": "" if filled["kind"] == OWN else filled["kind"]})
    study = form.study(paths)
    paths.job(form.name).start(study)
    return gr.Dropdown([job.name for job in tunings(paths)], value=form.name)


def stopped(paths: AllowedPaths, name: str | None) -> None:
    """Stop a tuning."""
    paths.job(paths.new(name or "").name).stop()


def watched(paths: AllowedPaths, name: str | None, seen: Any = None) -> list[Any]:
    """Show the progress of a tuning, if it has changed.

    Args:
        paths: with the folder of the runs.
        name: of its run.
        seen: the state that was shown last.

    Returns:
        Status, button to stop, commands, log, timer, the state that is shown now, the state of the results.
    """
    if not name or not paths.job(paths.new(name).name).known:
        return ["", gr.Button(visible=False), "", "", gr.Timer(active=False), None, None]
    job = paths.job(paths.new(name).name)
    state, progress = job.state, job.progress
    now = (name, state, progress, modified(job.folder / LOG))
    if now == seen:
        return [gr.skip()] * 7
    running = state == "running"
    return [
        course(job, state, progress),
        gr.Button(visible=running),
        "\n".join(shell([words]) for words in job.commands),
        job.log[-LOG_CHARACTERS:],
        gr.Timer(active=running),
        now,
        (name, state),
    ]


def course(job: Job, state: str, progress: Progress) -> str:
    """Return the progress of a tuning, or how it ended."""
    if state == "running":
        return progress.html
    if state == "finished":
        return sentence(f"{job.name} is finished.")
    reason = f": {job.failure}" if state == "failed" else ". Resume it under Train."
    return sentence(f"{job.name} {state} at {progress.words}{reason}", kind="failure")


def tuning_of(paths: AllowedPaths, name: str | None) -> Comparison | None:
    """Return the comparison of a tuning; None until it is finished."""
    from ltr.app.comparison import of_tuning

    if not name or not RunFolder(paths.new(name)).tested() or paths.job(name).running:
        return None
    return of_tuning(paths, name)


def runs_of(paths: AllowedPaths, runs: Sequence[str] | None) -> Comparison | None:
    """Return the comparison of runs; None for fewer than two."""
    from ltr.app.comparison import of_runs

    return of_runs(paths, runs) if runs and len(runs) > 1 else None
