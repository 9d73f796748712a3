"""Change of recall per class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ltr.counts import by_count
from ltr.plots.style import COLOURS, label_groups, legend, name_ticks, shade_groups


def recall_change(
    before: Sequence[float | None],
    after: Sequence[float | None],
    counts: Sequence[int],
    *,
    classes: Sequence[str],
    names: tuple[str, str] = ("before", "after"),
) -> Figure:
    """Plot the difference of two per-class recalls, from the most to the fewest training images.

    Args:
        before: (C,) fractions, NaN or None if not measured.
        after: (C,) fractions.
        counts: (C,) training images per class.
        classes: (C,) names.
        names: of the two models.
    """
    order = by_count(counts)
    change = 100 * (np.asarray(after, dtype=float) - np.asarray(before, dtype=float))[order]
    figure = Figure(figsize=(8, 3.8) if len(order) <= 30 else (13, 4.4), layout="constrained")
    axes = figure.add_subplot()
    shade_groups(axes, counts)
    label_groups(axes, counts)
    places = np.arange(len(order))
    handles = [
        axes.bar(places[some], change[some], width=0.8, color=colour, label=f"{name} is better")
        for name, colour, some in zip(names, COLOURS, (change < 0, change > 0), strict=False)
    ]
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.set(ylabel="difference of the recalls\n(percentage points)", xlim=(-0.5, len(order) - 0.5))
    axes.set_xlabel("class, from the most to the fewest training images")
    axes.grid(axis="y", color="white", linewidth=0.8)
    axes.set_axisbelow(True)
    name_ticks(axes.xaxis, [classes[label] for label in order])
    legend(figure, handles)
    return figure
