"""The tab that asks a trained network about images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from ltr.app.place import Place
from ltr.app.told import told
from ltr.errors import InputError
from ltr.run.folder import CHECKPOINT, RunFolder

if TYPE_CHECKING:
    from ltr.app.answering import Network
    from ltr.app.asked import Asked

RUN, FILE = "a run", "a file of weights"
KINDS = [".ckpt", ".pt", ".pth", ".safetensors"]
FORGOTTEN = 3600  # seconds until the server lets the answers of a page go


def infer(place: Place) -> None:
    """Make the tab.

    Args:
        place: where runs and weights are.
    """
    kept = gr.State(time_to_live=FORGOTTEN)
    with gr.Row():
        with gr.Column():
            source = gr.Radio(
                [RUN, FILE], value=RUN, label="Ask", info="Where the weights are.", elem_id="infer-source"
            )
            run = gr.Dropdown(
                place.having(CHECKPOINT),
                value=None,
                label="Run",
                info="All that have weights, the latest first.",
                elem_id="infer-run",
            )
            with gr.Column(visible=False) as file:
                path = gr.Textbox(label="File", info="Its path, in a folder of this page; or upload it.")
                upload = gr.File(label="Upload weights", file_types=KINDS, height=100, elem_id="infer-weights")
                architecture = gr.Dropdown(
                    [], value=None, label="Architecture", info="If the file does not say.", elem_id="infer-architecture"
                )
                data_set = gr.Dropdown(
                    [], value=None, label="Data set", info="Likewise: size and normalisation.", elem_id="infer-data"
                )
        with gr.Column():
            images = gr.Gallery(
                label="Images",
                sources=["upload", "clipboard"],
                columns=3,
                fit_columns=False,
                object_fit="contain",
                buttons=[],
                elem_id="infer-images",
            )
            gr.HTML("Drop, choose or paste several; the network sees the middle square of each.", elem_classes="hint")
            button = gr.Button("Ask", variant="primary", elem_id="infer-ask")
    with gr.Row():
        t_new = slider("Temperature", "Of the head; above 1 it is less sure of itself.", "infer-new")
        t_old = slider("Temperature of the old head", "Of the one that a tuning replaced.", "infer-old", visible=False)
    result = gr.HTML(elem_classes="answers", apply_default_css=False, padding=False)

    @told
    def ask(
        images: list[tuple[str, str | None]] | None, t_new: float, t_old: float, source: str, *weights: str | None
    ) -> tuple[Any, ...]:
        if not images:
            raise InputError("there is no image to ask about: upload or paste one.")
        network = from_run(place, weights[0]) if source == RUN else from_file(place, *weights[1:])
        from ltr.app.asked import Asked

        asked = Asked.of(network, [place.inside(name) for name, _ in images])
        label = "Temperature of the new head" if network.tuned else "Temperature"
        return asked, gr.Slider(label=label), gr.Slider(visible=network.tuned), asked.html(t_new, t_old)

    source.change(choose, source, [run, file, architecture, data_set], show_progress="hidden")
    run.focus(lambda: gr.Dropdown(choices=place.having(CHECKPOINT)), None, run, show_progress="hidden")
    button.click(
        ask,
        [images, t_new, t_old, source, run, path, upload, architecture, data_set],
        [kept, t_new, t_old, result],
        show_progress_on=result,
    )
    for moved in (t_new, t_old):
        moved.change(again, [kept, t_new, t_old], result, trigger_mode="always_last", show_progress="hidden")


def slider(label: str, info: str, name: str, *, visible: bool = True) -> gr.Slider:
    """Make a slider for a temperature."""
    return gr.Slider(0.1, 10, 1, step=0.1, label=label, info=info, min_width=260, visible=visible, elem_id=name)


def choose(source: str) -> tuple[Any, ...]:
    """Show the fields of a run, or those of a file."""
    if source == RUN:
        return gr.Dropdown(visible=True), gr.Column(visible=False), gr.skip(), gr.skip()
    from ltr.app.networks import architectures, data_sets

    named = gr.Dropdown(choices=architectures()), gr.Dropdown(choices=list(data_sets()))
    return gr.Dropdown(visible=False), gr.Column(visible=True), *named


@told
def again(asked: Asked | None, t_new: float, t_old: float) -> Any:
    """Show the answers at other temperatures; the network is not asked again."""
    return gr.skip() if asked is None else asked.html(t_new, t_old)


def from_run(place: Place, name: str | None) -> Network:
    """Return the network of a run.

    Raises:
        InputError: where there is no such run, or it has no weights.
    """
    from ltr.app.networks import network

    weights = RunFolder(place.run(name or "")).checkpoint
    if not weights.is_file():
        raise InputError(f"the run {name} has no weights: choose one that was trained here, or upload a file.")
    return network(weights.resolve(), trusted=True)


def from_file(
    place: Place, path: str | None, upload: str | None, architecture: str | None, data_set: str | None
) -> Network:
    """Return the network of a file of weights.

    Args:
        place: where files may be.
        path: of the file, or of a folder of a run.
        upload: the path of one that was uploaded, which goes first.
        architecture: for a file that does not say.
        data_set: likewise.

    Raises:
        InputError: where there is no such file, or it is not of weights.
    """
    from ltr.app.networks import network

    said = upload or (path or "").strip()
    if not said:
        raise InputError("name a file of weights, or upload one.")
    weights = place.inside(said)
    if weights.is_dir():
        weights = place.inside(str(RunFolder(weights).checkpoint))
    if not weights.is_file():
        raise InputError(f"{weights} is no file.")
    return network(weights, trusted=place.trusts(weights), architecture=architecture, data_set=data_set)
