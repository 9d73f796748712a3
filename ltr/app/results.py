"""The widgets that show a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from ltr.app.job import shell
from ltr.app.show_errors import show_errors
from ltr.app.tuning_form import slider
from ltr.errors import InputError
from ltr.html import sentence

if TYPE_CHECKING:
    from ltr.app.comparison import Comparison

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
