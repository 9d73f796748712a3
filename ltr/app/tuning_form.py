"""The fields of a tuning as widgets."""

from __future__ import annotations

from typing import Any

import gradio as gr

OWN = "that of the base"
WIDE = 240  # pixels of a field that does not share a line of a phone
REACH, STEP = 4.25, 0.25  # of the sliders


def form() -> tuple[dict[str, Any], gr.UploadButton, gr.Column]:
    """Make the fields of a tuning: those of a `Wish` by their names, what uploads weights, the column of the data.

    Lists are closed until they are filled.
    """

    def choice(label: str, info: str, **more: Any) -> gr.Dropdown:
        return gr.Dropdown([], label=label, info=info, interactive=False, **more)

    fields: dict[str, Any] = {}
    with gr.Row():
        fields["base"] = choice("Base", "The run whose classifier is tuned.", min_width=WIDE)
        fields["loss"] = choice("Tuning loss", "GML lifts the worst classes.", min_width=WIDE)
        fields["name"] = gr.Textbox(label="Name", info="Of the new run; it must not exist yet.", min_width=WIDE)
    with gr.Accordion("A file of weights instead of a run", open=False), gr.Row():
        with gr.Column():
            fields["file"] = gr.Textbox(label="File", info="Its path, inside the folders of this page.")
            upload = gr.UploadButton("Upload weights", size="sm")
        fields["architecture"] = choice("Architecture", "Of the network, where the file is silent.")
    with gr.Row():
        fields["kind"] = choice("Data set", "To tune on and to test with.", scale=2, min_width=WIDE)
        fields["epochs"] = gr.Number(40, label="Epochs", info="On features computed once.")
        fields["rate"] = gr.Number(0.1, label="Learning rate", info="At first; then a cosine.")
        fields["batch"] = gr.Number(512, label="Batch size", info="GML likes large ones.")
        fields["seed"] = gr.Number(0, label="Seed", info="Of the order.")
    with gr.Column(visible=False) as others, gr.Row():
        fields["root"] = gr.Textbox(label="Folder", info="Of the images; empty for `data`.")
        fields["imbalance"] = gr.Number(100, label="Imbalance factor", info="100 or 0.01: largest to smallest class.")
        fields["profile"] = choice("Type of imbalance", "How the tail falls; none keeps all.")
    return fields, upload, others


def slider(head: str, value: float) -> gr.Slider:
    """Make the slider of the temperature of a head."""
    about = "A power of two: 0 is 1, 1 is 2, -1 is 0.5. Above 0 the head is softer."
    return gr.Slider(
        -REACH, REACH, value, step=STEP, label=f"Temperature of the {head} head", info=about, min_width=WIDE
    )
