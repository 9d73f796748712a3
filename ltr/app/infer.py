"""The tab that classifies images with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.show_errors import capitalised, show_errors
from ltr.errors import InputError
from ltr.html import sentence

if TYPE_CHECKING:
    from ltr.app.prediction import QueryResult

RUN, FILE = "a run", "a file of weights"
WEIGHTS = [".ckpt", ".pt", ".pth", ".safetensors"]
KEPT = 3600  # seconds that the server keeps the result of a page


def infer(paths: AllowedPaths, tab: gr.Tab) -> None:
    """Fill the tab.

    Args:
        paths: where runs and weights are.
        tab: the tab. When it is opened, the latest run is chosen unless another one is.
    """
    kept = gr.State(time_to_live=KEPT)
    with gr.Row():
        with gr.Column():
            source = gr.Radio(
                [RUN, FILE], value=RUN, label="Model", info="Where the weights come from.", elem_id="infer-source"
            )
            run = gr.Dropdown(
                paths.with_weights(),
                value=None,
                label="Run",
                info="All runs with weights, the latest first.",
                elem_id="infer-run",
            )
            with gr.Column(visible=False) as file:
                path = gr.Textbox(label="File", info="Its path, inside the folders of this page; or upload it.")
                upload = gr.File(label="Upload weights", file_types=WEIGHTS, height=100, elem_id="infer-weights")
                architecture = gr.Dropdown(
                    [],
                    value=None,
                    label="Architecture",
                    info="Only needed if the file does not name it.",
                    elem_id="infer-architecture",
                )
                data_set = gr.Dropdown(
                    [], value=None, label="Data set", info="Likewise; for size and normalisation.", elem_id="infer-data"
                )
        with gr.Column():
            images = gr.Gallery(
                label="Images",
                sources=["upload", "clipboard"],
                columns=3,
                fit_columns=False,
                object_fit="contain",
                buttons=[],
                format="png",
                elem_id="infer-images",
            )
            gr.HTML("Drop, choose or paste images; the network sees the middle square of each.", elem_classes="hint")
            button = gr.Button("Classify", variant="primary", elem_id="infer-classify")
    with gr.Row():
        t_new = slider("Temperature", "Above 1 softens the probabilities, below 1 sharpens them.", "infer-new")
        t_old = slider("Temperature of the old head", "Of the head that the tuning replaced.", "infer-old")
    result = gr.HTML(elem_classes="answers", apply_default_css=False, padding=False)

    def classify(
        images: list[tuple[str, str | None]] | None, t_new: float, t_old: float, source: str, *weights: str | None
    ) -> tuple[Any, ...]:
        from ltr.app.prediction import QueryResult, from_file, from_run

        try:
            if not images:
                raise InputError("there is no image to classify: upload or paste one.")
            network = from_run(paths, weights[0]) if source == RUN else from_file(paths, *weights[1:])
            files = [paths.inside(path) for path, _ in images]
            answer = QueryResult.of(network, files, [name or Path(path).name for path, name in images])
            html = answer.html(t_new, t_old)
        except InputError as error:  # shown where the answer would be
            hidden = gr.Slider(visible=False)
            return None, hidden, hidden, sentence(capitalised(str(error)), kind="failure")
        label = "Temperature of the new head" if network.tuned else "Temperature"
        return answer, gr.Slider(label=label, visible=True), gr.Slider(visible=network.tuned), html

    def thumbnails(images: list[tuple[str, str | None]]) -> list[tuple[Any, str | None]]:
        """Return uploaded images; those that a browser cannot show as the same pixels in a PNG, under their name."""
        from ltr.app.prediction import browser_copy

        copies = [browser_copy(paths.inside(path)) for path, _ in images]
        return [
            (path, name) if copy is None else (copy, Path(path).name)
            for (path, name), copy in zip(images, copies, strict=True)
        ]

    def latest(chosen: str | None) -> gr.Dropdown:
        names = paths.with_weights()
        return gr.Dropdown(choices=names) if chosen else gr.Dropdown(choices=names, value=next(iter(names), None))

    tab.select(latest, run, run, show_progress="hidden")
    source.change(choose, source, [run, file, architecture, data_set], show_progress="hidden")
    run.focus(lambda: gr.Dropdown(choices=paths.with_weights()), None, run, show_progress="hidden")
    images.upload(thumbnails, images, images, show_progress="hidden")
    button.click(
        classify,
        [images, t_new, t_old, source, run, path, upload, architecture, data_set],
        [kept, t_new, t_old, result],
        show_progress_on=result,
    )
    for moved in (t_new, t_old):
        moved.change(again, [kept, t_new, t_old], result, trigger_mode="always_last", show_progress="hidden")


def slider(label: str, info: str, name: str) -> gr.Slider:
    """Make a slider for a temperature, which is hidden until there is a result."""
    return gr.Slider(0.1, 10, 1, step=0.1, label=label, info=info, min_width=260, visible=False, elem_id=name)


def choose(source: str) -> tuple[Any, ...]:
    """Show the fields of a run, or those of a file."""
    if source == RUN:
        return gr.Dropdown(visible=True), gr.Column(visible=False), gr.skip(), gr.skip()
    from ltr.app.catalogue import architectures, published_data

    named = gr.Dropdown(choices=architectures()), gr.Dropdown(choices=list(published_data()))
    return gr.Dropdown(visible=False), gr.Column(visible=True), *named


@show_errors
def again(answer: QueryResult | None, t_new: float, t_old: float) -> Any:
    """Show the result at other temperatures; the network is not run again."""
    return gr.skip() if answer is None else answer.html(t_new, t_old)
