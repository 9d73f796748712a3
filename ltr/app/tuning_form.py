"""The widgets of the form of a tuning, and the choices that they offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.job import Job
from ltr.errors import InputError
from ltr.run import description
from ltr.run.folder import RunFolder

OWN = "that of the base"
WIDE = 240  # pixels: such a field has its own line on a phone
REACH, STEP = 4.25, 0.25  # of the sliders


def form() -> tuple[dict[str, Any], gr.UploadButton, gr.Column]:
    """Make the widgets: those of a `TuningForm` by name, the button that uploads weights, the column of the data.

    Lists cannot be used until `offered` fills them.
    """

    def choice(label: str, info: str, **more: Any) -> gr.Dropdown:
        return gr.Dropdown([], label=label, info=info, interactive=False, **more)

    fields: dict[str, Any] = {}
    with gr.Row():
        fields["base"] = choice("Base", "The run whose classifier is tuned.", min_width=WIDE)
        fields["loss"] = choice("Tuning loss", "GML lifts the worst classes.", min_width=WIDE)
        fields["name"] = gr.Textbox(label="Name", info="Of the new run.", min_width=WIDE)
    with gr.Accordion("A file of weights instead of a run", open=False), gr.Row():
        with gr.Column():
            fields["file"] = gr.Textbox(label="File", info="Its path, inside the folders of this page.")
            upload = gr.UploadButton("Upload weights", size="sm")
        fields["architecture"] = choice("Architecture", "Only needed if the file does not name it.")
    with gr.Row():
        fields["kind"] = choice("Data set", "For tuning and testing.", scale=2, min_width=WIDE)
        fields["epochs"] = gr.Number(40, label="Epochs", info="On features that are computed once.")
        fields["rate"] = gr.Number(0.1, label="Learning rate", info="Initial value, cosine decay.")
        fields["batch"] = gr.Number(512, label="Batch size", info="GML works best with large ones.")
        fields["seed"] = gr.Number(0, label="Seed", info="For shuffling.")
    with gr.Column(visible=False) as others, gr.Row():
        fields["root"] = gr.Textbox(label="Folder of the images", info="If empty: `data`.")
        fields["imbalance"] = gr.Number(100, label="Imbalance factor", info="100 or 0.01: largest to smallest class.")
        fields["tail"] = choice("Shape of the tail", "`none` keeps all images.")
    return fields, upload, others


def slider(head: str, value: float) -> gr.Slider:
    """Make the slider for the temperature of a head."""
    about = "As a power of two: 0 is 1, 1 is 2, -1 is 0.5. Above 0 softens the probabilities."
    return gr.Slider(
        -REACH, REACH, value, step=STEP, label=f"Temperature of the {head} head", info=about, min_width=WIDE
    )


def tunable(paths: AllowedPaths) -> Any:
    """Return the dropdown of the runs that can be tuned."""
    return gr.Dropdown(paths.with_weights())


def tested(paths: AllowedPaths) -> Any:
    """Return the dropdown of the runs with results."""
    return gr.Dropdown(paths.tested(), interactive=True)


def tunings(paths: AllowedPaths) -> list[Job]:
    """Return the tunings that the page has started, the latest first."""
    return [job for job in paths.jobs() if paths.before(job.name)]


def is_tuning(run: RunFolder) -> bool:
    """Return whether a run retrained the classifier of another one; False if its config is damaged."""
    try:
        return description.is_tuning(run.config)
    except InputError:
        return False


def offered(paths: AllowedPaths, base: str | None, name: str | None) -> list[Any]:
    """Fill the lists when the tab is opened; the first time, choose defaults and the running or the last tuning.

    Args:
        paths: with the folder of the runs.
        base: the chosen run.
        name: of the tuning that is shown.
    """
    from ltr.app.catalogue import TAILS, architectures, tuning_data, tuning_losses

    first = base is None and name is None  # later, a choice made in the meantime must stay

    def choice(names: Sequence[str], proposed: str | None) -> Any:
        if first:
            return gr.Dropdown(names, value=proposed, interactive=True)
        return gr.Dropdown(names, interactive=True)

    runs, jobs = paths.with_weights(), tunings(paths)
    untuned = (run for run in runs if not paths.before(run) and not is_tuning(paths.run(run)))
    names, running = [job.name for job in jobs], [job.name for job in jobs if job.running]
    return [
        choice(runs, next(untuned, None)),
        choice(architectures(), "ResNet32"),
        choice([OWN, *tuning_data()], OWN),
        choice(TAILS, "exp"),
        choice(tuning_losses(), "GML"),
        gr.Button(interactive=True),
        choice(names, next(iter(running + names), None)),
        tested(paths),
    ]


def filled(paths: AllowedPaths, base: str | None, file: str, loss: str | None) -> list[Any]:
    """Propose a name and a batch size, and describe the data that the base was trained on."""
    from ltr.app.tuning import TuningForm, proposed, proposed_batch

    if not (base or file):
        return [gr.skip()] * 3
    _, config = TuningForm(base=base or "", file=file).start(paths)
    data = description.data_set({}, config.get("data") or {})
    about = f"{data}." if data else "The file does not name the data it was trained on."
    return [proposed(paths, file or base or "", loss or "GML"), proposed_batch(config), gr.Dropdown(info=about)]
