"""Trade-off of an ensemble of two heads between top-1 and the worst classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib.figure import Figure

from ltr.measures import shown
from ltr.plots.style import COLOURS, from_zero, legend

MARKERS = "*sD^v"


def trade_off(
    curve: Sequence[Mapping[str, float]],
    points: Mapping[str, Mapping[str, float]],
    here: tuple[str, Mapping[str, float]],
) -> Figure:
    """Plot harmonic mean and lowest recall against top-1 over the temperatures of an ensemble of two heads.

    Args:
        curve: `top1`, `hm` and `lowest` as fractions, in the order of the temperatures.
        points: the same measures of other models, by name; one marker each.
        here: name and measures of the selected point on the curve.
    """
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    measures = shown("front")
    for axes, measure in zip(figure.subplots(1, len(measures)), measures, strict=True):
        key = measure.key
        line = [(100 * row["top1"], 100 * row[key]) for row in curve]
        handles = axes.plot(
            *zip(*line, strict=True), color="0.45", linewidth=1.2, marker=".", label="both heads, a dot per temperature"
        )
        for (name, row), colour, marker in zip(points.items(), cycle(COLOURS), cycle(MARKERS), strict=False):
            place = 100 * row["top1"], 100 * row[key]
            handles += axes.plot(*place, marker, color=colour, markersize=10, label=name, zorder=3)
        name, row = here
        place = 100 * row["top1"], 100 * row[key]
        ring = {"markersize": 15, "markerfacecolor": "none", "markeredgecolor": "black", "markeredgewidth": 2}
        handles += axes.plot(*place, "o", **ring, label=name, zorder=4)
        axes.set(xlabel="top-1 (%)", ylabel=measure.axis())
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        from_zero(axes.yaxis, always=False)
    legend(figure, handles)
    return figure
