"""The page around its tabs."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from ltr.app.compare import compare
from ltr.app.infer import infer
from ltr.app.place import Place
from ltr.app.runs import runs
from ltr.app.train import train

STYLE = Path(__file__).with_name("page.css")
# Fonts of the reader's system: nothing is fetched from elsewhere.
THEME = gr.themes.Default(
    primary_hue="blue",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "Consolas", "monospace"],
).set(block_info_text_color="*neutral_600")


def page(place: Place) -> gr.Blocks:
    """Return the page of the runs in a place."""
    blocks: gr.Blocks
    with gr.Blocks(title="ltr", analytics_enabled=False, delete_cache=(3600, 86400)) as blocks:
        gr.Markdown("# ltr: long-tailed image recognition")
        with gr.Tab("Train"):
            like = train(place)
        with gr.Tab("Infer"):
            infer(place)
        with gr.Tab("Compare") as tab:
            compare(place, tab)
        with gr.Tab("Runs"):
            runs(place, like)
    return blocks
