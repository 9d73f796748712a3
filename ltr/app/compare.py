"""The tab that tunes a classifier and compares it with its base, and compares finished runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.job import LOG, Job, shell
from ltr.app.progress import Progress, modified
from ltr.app.show_errors import show_errors
from ltr.app.tuning_form import OWN, filled, form, offered, slider, tested, tunable, tunings
from ltr.errors import InputError
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
# A change during a running event starts another event after it.
QUIET: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}


class Results(NamedTuple):
    """The widgets of a comparison. Each of the two modes has its own, so that a late answer cannot stand in the other.

    Attributes:
        table: the measures.
        figures: the recalls.
        ensemble: the column of what follows, for a run with two heads.
        powers: sliders of the temperatures, as powers of two.
        curve: the trade-off of the ensemble.
        command: that tests the ensemble at these temperatures.
        downloads: row of the buttons.
        files: a button for each of `FILES`.
    """

    table: gr.HTML
    figures: gr.HTML
    ensemble: gr.Column
    powers: list[gr.Slider]
    curve: gr.HTML
    command: gr.Code
    downloads: gr.Row
    files: list[gr.DownloadButton]

    @classmethod
    def make(cls) -> Results:
        """Make the widgets."""
        table, figures = gr.HTML(), gr.HTML()
        with gr.Column(visible=False) as ensemble:
            gr.Markdown("### Ensemble of both heads")
            with gr.Row():
                powers = [slider("new", 0), slider("old", 1)]
            curve = gr.HTML()
            command = gr.Code(label="This point as a command", language="shell", lines=1, wrap_lines=True)
        with gr.Row(visible=False) as downloads:
            files = [gr.DownloadButton(title, size="sm") for title in FILES.values()]
        return cls(table, figures, ensemble, powers, curve, command, downloads, files)

    def fill(self, compared: Callable[..., Comparison | None], triggers: Sequence[Any], inputs: Sequence[Any]) -> None:
        """Show a comparison whenever what is compared changes.

        Args:
            compared: returns the comparison, None if there is nothing to compare yet.
            triggers: the events of the change.
            inputs: what is handed to `compared`.
        """

        @show_errors
        def show(*chosen: Any) -> list[Any]:
            return shown(compared(*chosen))

        @show_errors
        def weigh(new: float, old: float, *chosen: Any) -> list[Any]:
            return weighed(compared(*chosen), new, old)

        parts = [self.table, self.figures, self.ensemble, self.curve, self.command, self.downloads, *self.files]
        again: dict[str, Any] = {"inputs": [*self.powers, *inputs], "show_progress_on": self.curve}
        outputs = [self.table, self.curve, self.command, *self.files]
        gr.on(triggers, show, inputs, parts, **QUIET).success(weigh, outputs=outputs, **again)
        moved = [power.change for power in self.powers]
        gr.on(moved, weigh, outputs=outputs, trigger_mode="always_last", **again)


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


def shown(comparison: Comparison | None) -> list[Any]:
    """Show the results of a comparison.

    Returns:
        Table, figures, column of the ensemble, its curve and its command, row of the downloads, each download.
    """
    if comparison is None:
        return ["", "", gr.Column(visible=False), "", "", gr.Row(visible=False), *[None] * len(FILES)]
    weighs = comparison.tuned is not None
    return [
        comparison.table(),
        comparison.pictures(),
        gr.Column(visible=weighs),
        sentence(COMPUTING, kind="note") if weighs else "",
        "",
        gr.Row(visible=True),
        *buttons(comparison.keep()),
    ]


def weighed(comparison: Comparison | None, new: float, old: float) -> list[Any]:
    """Show the ensemble of both heads of a tuned run.

    Returns:
        Table, curve, command, each download.
    """
    if comparison is None or comparison.tuned is None:
        return [gr.skip()] * (3 + len(FILES))
    try:
        comparison = comparison.at_powers(new, old)
    except InputError as error:
        return [gr.skip(), sentence(str(error), kind="missing"), *[gr.skip()] * (1 + len(FILES))]
    return [
        comparison.table(),
        comparison.weighing() + sentence(HONEST, kind="note"),
        shell([comparison.command]),
        *buttons(comparison.keep()),
    ]


def buttons(files: Mapping[str, Path]) -> list[gr.DownloadButton]:
    """Return the buttons that download these files."""
    return [gr.DownloadButton(value=files.get(key), interactive=key in files) for key in FILES]
