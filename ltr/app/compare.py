"""The tab that tunes a classifier and compares, and compares finished runs."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ltr.app.job import Job, typed
from ltr.app.offers import filled, offered, tested, tunable, tunings
from ltr.app.place import Place
from ltr.app.state import course
from ltr.app.told import told
from ltr.app.tuning_form import OWN, form, slider
from ltr.errors import InputError
from ltr.html.markup import sentence
from ltr.run.folder import RunFolder

TUNE, RUNS = "Tune and compare", "Compare finished runs"
PULSE = 1.5  # seconds between two looks at a job
TAIL = 20_000  # letters of a log
ABOUT = (
    "Retrain the classifier of a trained network and see what every class gains or loses: against the network as it "
    "was, and against post-hoc logit adjustment, the control that costs no training."
)
HONEST = (
    "A dot for each temperature of the old head, the new one's as it is set. Temperatures chosen by looking at these "
    "figures are chosen on the test images: they show what the two heads can trade and are not for reporting. "
    "`matched` chooses on the training images, `fitted` on a validation split."
)
ASKING = "Asking both heads about the test images; this takes a while the first time."
FILES = {
    "recall": "Recalls (PNG)",
    "trade_off": "Trade-off (PNG)",
    "recalls": "Recalls (CSV)",
    "figures": "Figures (CSV)",
}


def compare(place: Place, tab: gr.Tab) -> None:
    """Fill the tab.

    Args:
        place: where the page may read and write.
        tab: the tab. Its lists are filled when it is opened, and nothing can be chosen or started before they are.
    """
    with gr.Column(elem_id="compare"):
        gr.Markdown(ABOUT)
        mode = gr.Radio(
            [TUNE, RUNS], value=TUNE, label="What to compare", info="A tuning with its base, or any results."
        )
        with gr.Column() as tune:
            fields, upload, others = form()
            start = gr.Button(TUNE, variant="primary", interactive=False)
            chosen = gr.Dropdown([], label="Tuning", info="Those started here, the latest first.", interactive=False)
            status = gr.HTML()
            stop = gr.Button("Stop", variant="stop", visible=False)
            with gr.Accordion("Commands and log", open=False):
                commands = gr.Code(label="The same at the command line", language="shell", lines=1, wrap_lines=True)
                log = gr.Textbox(label="Log", info="What the commands print.", lines=8, max_lines=16, interactive=False)
        with gr.Column(visible=False) as finished:
            runs = gr.Dropdown(
                [],
                multiselect=True,
                label="Runs",
                info="Two or more that were tested; the first is drawn as bars.",
                interactive=False,
            )
        table, bars = gr.HTML(), gr.HTML()
        with gr.Column(visible=False) as weighing:
            gr.Markdown("### Both heads together")
            with gr.Row():
                powers = [slider("new", 0), slider("old", 1)]
            curve = gr.HTML()
            point = gr.Code(label="This point at the command line", language="shell", lines=1, wrap_lines=True)
        with gr.Row(visible=False) as downloads:
            kept = {key: gr.DownloadButton(title, size="sm") for key, title in FILES.items()}
    timer, seen, over = gr.Timer(PULSE, active=False), gr.State(), gr.State()

    def on(triggers: Any, function: Any, inputs: Any, outputs: Any, **options: Any) -> Any:
        return gr.on(triggers, told(functools.partial(function, place)), inputs, outputs, **options)

    # What is chosen while an answer is on its way is answered, too.
    quiet: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}
    form_lists = [fields[key] for key in ("base", "architecture", "kind", "profile", "loss")]
    on(tab.select, offered, [fields["base"], chosen], [*form_lists, start, chosen, runs], **quiet)
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
    on(start.click, functools.partial(started, tuple(fields)), list(fields.values()), chosen, show_progress="hidden")
    on(chosen.change, watched, chosen, live, **quiet)
    on(timer.tick, watched, [chosen, seen], live, show_progress="hidden")
    on(stop.click, stopped, chosen, [])

    what = [mode, chosen, runs]
    parts = [table, bars, weighing, curve, point, downloads, *kept.values()]
    again = [table, curve, point, *kept.values()]
    told_weighed = told(functools.partial(weighed, place))
    on([over.change, mode.change, runs.change], shown, what, parts, **quiet).success(
        told_weighed, [*what, *powers], again, show_progress_on=curve
    )
    moved = [power.change for power in powers]
    gr.on(moved, told_weighed, [*what, *powers], again, show_progress_on=curve, trigger_mode="always_last")


def started(keys: Sequence[str], place: Place, *values: Any) -> Any:
    """Start a tuning and show it."""
    from ltr.app.tuning import Wish

    said: dict[str, Any] = {key: "" if value is None else value for key, value in zip(keys, values, strict=True)}
    wish = Wish(**said | {"kind": "" if said["kind"] == OWN else said["kind"]})
    Job.of(place, wish.name).start(wish.commands(place))
    return gr.Dropdown([job.name for job in tunings(place)], value=wish.name)


def stopped(place: Place, name: str | None) -> None:
    """Stop a tuning."""
    Job.of(place, place.new(name or "").name).stop()


def watched(place: Place, name: str | None, seen: Any = None) -> list[Any]:
    """Show how far a tuning is; nothing where nothing is new.

    Args:
        place: where it is.
        name: of its run.
        seen: what was shown last.

    Returns:
        Status, button to stop, commands, log, timer, what is shown now, and what is over.
    """
    from ltr.app.tuning import STEPS

    if not name:
        return ["", gr.Button(visible=False), "", "", gr.Timer(active=False), None, None]
    job = Job.of(place, place.new(name).name)
    state, log = job.state, job.folder / "log.txt"
    now = (name, state, job.step, log.stat().st_mtime_ns if log.is_file() else 0)
    if now == seen:
        return [gr.skip()] * 7
    running = state == "running"
    return [
        course(job, STEPS[-len(job.commands) :]),  # one that was resumed has the last of them
        gr.Button(visible=running),
        "\n".join(typed([words]) for words in job.commands),
        job.log[-TAIL:],
        gr.Timer(active=running),
        now,
        (name, state),
    ]


def compared(place: Place, mode: str, name: str | None, runs: Sequence[str] | None) -> Any:
    """Return the comparison that is asked for, None where there is nothing to compare yet."""
    from ltr.app.comparison import of_runs, of_tuning

    if mode == TUNE:
        there = name and RunFolder(place.new(name)).tested()
        return of_tuning(place, name or "") if there and not Job.of(place, name or "").running else None
    return of_runs(place, runs or ()) if runs and len(runs) > 1 else None


def shown(place: Place, mode: str, name: str | None, runs: Sequence[str] | None) -> list[Any]:
    """Show a comparison, as far as results tell.

    Returns:
        Table, figures, column of the two heads, their curve and command, row of the downloads, and each of these.
    """
    if (found := compared(place, mode, name, runs)) is None:
        hint = sentence("Choose two runs or more.") if mode == RUNS else ""
        return [hint, "", gr.Column(visible=False), "", "", gr.Row(visible=False), *[None] * len(FILES)]
    weighs = found.tuned is not None
    return [
        found.table(),
        found.pictures(),
        gr.Column(visible=weighs),
        sentence(ASKING, kind="note") if weighs else "",
        "",
        gr.Row(visible=True),
        *buttons(found.keep(place)),
    ]


def weighed(place: Place, mode: str, name: str | None, runs: Sequence[str] | None, new: float, old: float) -> list[Any]:
    """Show both heads of a tuned run together.

    Returns:
        Table, curve, command, and the downloads.
    """
    from ltr.app.heads import temperature

    found = compared(place, mode, name, runs)
    if found is None or found.tuned is None:
        return [gr.skip()] * (3 + len(FILES))
    t_new, t_old = temperature(new), temperature(old)
    try:
        found = found.at(t_new, t_old)
    except InputError as error:
        return [gr.skip(), sentence(str(error), kind="missing"), *[gr.skip()] * (1 + len(FILES))]
    words = ["test", "--ckpt_path", str(found.tuned), "--config", "ensemble.yaml", "--evaluation", "ensemble"]
    words += ["--trainer.callbacks.t_new", f"{t_new:.10g}", "--trainer.callbacks.t_old", f"{t_old:.10g}"]
    return [
        found.table(),
        found.weighing() + sentence(HONEST, kind="note"),
        typed([words]),
        *buttons(found.keep(place)),
    ]


def buttons(made: Mapping[str, Path]) -> list[gr.DownloadButton]:
    """Return what downloads the files that were made."""
    return [gr.DownloadButton(value=made.get(key), interactive=key in made) for key in FILES]
