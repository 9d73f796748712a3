"""The tab that tunes a classifier and compares it with its base, and compares finished runs."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.job import LOG, Job, shell
from ltr.app.progress import Progress, modified
from ltr.app.show_errors import show_errors
from ltr.app.tuning_form import OWN, filled, form, offered, slider, tested, tunable, tunings
from ltr.errors import InputError
from ltr.html import sentence
from ltr.run.folder import RunFolder

TUNE, RUNS = "Tune and compare", "Compare finished runs"
PULSE = 1.5  # seconds between two looks at a job
LOG_CHARACTERS = 20_000
ABOUT = (
    "Retrain the classifier of a trained network and see what each class gains or loses, compared with the network "
    "before and with post-hoc logit adjustment, a control that needs no training."
)
HONEST = (
    "Each dot is a temperature of the old head; the temperature of the new head is that of the slider. Do not report "
    "temperatures chosen from this figure: it is computed on the test images. `matched` chooses temperatures on the "
    "training images, `fitted` on a validation split."
)
COMPUTING = "Computing the logits of both heads for the test images; this takes a while the first time."
FILES = {
    "recall": "Recalls (PNG)",
    "trade_off": "Trade-off (PNG)",
    "recalls": "Recalls (CSV)",
    "figures": "Figures (CSV)",
}


def compare(paths: AllowedPaths, tab: gr.Tab) -> None:
    """Fill the tab.

    Args:
        paths: that the page may read and write.
        tab: the tab. Its lists are filled when it is opened; nothing can be chosen or started before.
    """
    with gr.Column(elem_id="compare"):
        gr.Markdown(ABOUT)
        mode = gr.Radio(
            [TUNE, RUNS], value=TUNE, label="What to compare", info="A tuning and its base, or finished runs."
        )
        with gr.Column() as tune:
            fields, upload, others = form()
            button = gr.Button(TUNE, variant="primary", interactive=False)
            chosen = gr.Dropdown([], label="Tuning", info="Started here, newest first.", interactive=False)
            status = gr.HTML()
            stop = gr.Button("Stop", variant="stop", visible=False)
            with gr.Accordion("Commands and log", open=False):
                commands = gr.Code(label="As commands", language="shell", lines=1, wrap_lines=True)
                log = gr.Textbox(label="Log", info="Output of the commands.", lines=8, max_lines=16, interactive=False)
        with gr.Column(visible=False) as finished:
            runs = gr.Dropdown(
                [],
                multiselect=True,
                label="Runs",
                info="Two or more tested runs; the first is drawn as bars.",
                interactive=False,
            )
        table, bars = gr.HTML(), gr.HTML()
        with gr.Column(visible=False) as weighing:
            gr.Markdown("### Ensemble of both heads")
            with gr.Row():
                powers = [slider("new", 0), slider("old", 1)]
            curve = gr.HTML()
            point = gr.Code(label="This point as a command", language="shell", lines=1, wrap_lines=True)
        with gr.Row(visible=False) as downloads:
            kept = {key: gr.DownloadButton(title, size="sm") for key, title in FILES.items()}
    timer, seen, over = gr.Timer(PULSE, active=False), gr.State(), gr.State()

    def on(triggers: Any, function: Any, inputs: Any, outputs: Any, **options: Any) -> Any:
        return gr.on(triggers, show_errors(functools.partial(function, paths)), inputs, outputs, **options)

    # A change during a running event starts another event after it.
    quiet: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}
    form_lists = [fields[key] for key in ("base", "architecture", "kind", "tail", "loss")]
    on(tab.select, offered, [fields["base"], chosen], [*form_lists, button, chosen, runs], **quiet)
    on(fields["base"].focus, tunable, [], fields["base"], **quiet)
    on(runs.focus, tested, [], runs, **quiet)
    naming = [fields[key] for key in ("base", "file", "loss")]
    on([part.change for part in naming], filled, naming, [fields[key] for key in ("name", "batch", "kind")], **quiet)
    upload.upload(lambda path: path, upload, fields["file"])
    fields["kind"].change(lambda kind: gr.Column(visible=kind != OWN), fields["kind"], others, **quiet)
    mode.change(
        lambda mode: [gr.Column(visible=mode == name) for name in (TUNE, RUNS)], mode, [tune, finished], **quiet
    )

    live = [status, stop, commands, log, timer, seen, over]
    on(button.click, functools.partial(started, tuple(fields)), list(fields.values()), chosen, show_progress="hidden")
    on(chosen.change, watched, chosen, live, **quiet)
    on(timer.tick, watched, [chosen, seen], live, show_progress="hidden")
    on(stop.click, stopped, chosen, [])

    what = [mode, chosen, runs]
    parts = [table, bars, weighing, curve, point, downloads, *kept.values()]
    again = [table, curve, point, *kept.values()]
    show_weighed = show_errors(functools.partial(weighed, paths))
    on([over.change, mode.change, runs.change], shown, what, parts, **quiet).success(
        show_weighed, [*what, *powers], again, show_progress_on=curve
    )
    moved = [power.change for power in powers]
    gr.on(moved, show_weighed, [*what, *powers], again, show_progress_on=curve, trigger_mode="always_last")


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


def compared(paths: AllowedPaths, mode: str, name: str | None, runs: Sequence[str] | None) -> Any:
    """Return the chosen comparison; None if there is nothing to compare yet."""
    from ltr.app.comparison import of_runs, of_tuning

    if mode == TUNE:
        there = name and RunFolder(paths.new(name)).tested()
        return of_tuning(paths, name or "") if there and not paths.job(name or "").running else None
    return of_runs(paths, runs or ()) if runs and len(runs) > 1 else None


def shown(paths: AllowedPaths, mode: str, name: str | None, runs: Sequence[str] | None) -> list[Any]:
    """Show the results of a comparison.

    Returns:
        Table, figures, column of the ensemble, its curve and its command, row of the downloads, each download.
    """
    if (found := compared(paths, mode, name, runs)) is None:
        hint = sentence("Choose two runs or more.") if mode == RUNS else ""
        return [hint, "", gr.Column(visible=False), "", "", gr.Row(visible=False), *[None] * len(FILES)]
    weighs = found.tuned is not None
    return [
        found.table(),
        found.pictures(),
        gr.Column(visible=weighs),
        sentence(COMPUTING, kind="note") if weighs else "",
        "",
        gr.Row(visible=True),
        *buttons(found.keep(paths)),
    ]


def weighed(
    paths: AllowedPaths, mode: str, name: str | None, runs: Sequence[str] | None, new: float, old: float
) -> list[Any]:
    """Show the ensemble of both heads of a tuned run.

    Returns:
        Table, curve, command, each download.
    """
    found = compared(paths, mode, name, runs)
    if found is None or found.tuned is None:
        return [gr.skip()] * (3 + len(FILES))
    try:
        found = found.at_powers(new, old)
    except InputError as error:
        return [gr.skip(), sentence(str(error), kind="missing"), *[gr.skip()] * (1 + len(FILES))]
    return [
        found.table(),
        found.weighing() + sentence(HONEST, kind="note"),
        shell([found.command]),
        *buttons(found.keep(paths)),
    ]


def buttons(made: Mapping[str, Path]) -> list[gr.DownloadButton]:
    """Return the buttons that download these files."""
    return [gr.DownloadButton(value=made.get(key), interactive=key in made) for key in FILES]
