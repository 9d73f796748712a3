"""The number of images per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ltr.counts import by_count
from ltr.plots.style import COLOURS, grid, label_groups, name_ticks, shade_groups

NAMED = 100


def class_counts(train: Sequence[int], test: Sequence[int], *, classes: Sequence[str]) -> Figure:
    """Plot the number of images per class, from the most to the fewest, on a logarithmic axis.

    Training images are bars, or an outline above 100 classes. Test images are points, left out if the test split is
    balanced. A class without images has no bar or point.

    Args:
        train: (C,) images per class.
        test: (C,) images per class.
        classes: (C,) names.
    """
    order = by_count(train)
    edges = np.arange(len(order) + 1) - 0.5
    bars, points = (np.asarray(counts, dtype=float)[order] for counts in (train, test))
    named = len(order) <= NAMED
    figure = Figure(figsize=(8, 4.2) if len(order) <= 30 else (13, 4.8), layout="constrained")
    axes = figure.add_subplot()
    shade_groups(axes, train)
    label_groups(axes, train)
    handles: list[Any] = [
        axes.bar(range(len(order)), bars, width=0.8, color=COLOURS[0], label="training images")
        if named
        else axes.stairs(bars, edges, fill=True, color=COLOURS[0], label="training images")
    ]
    if points.min() < points.max():
        points[points == 0] = np.nan
        handles += axes.plot(points, ".", color=COLOURS[1], markersize=8 if named else 2, label="test images")
    top = 1.3 * np.nanmax([*bars, *points, 1])
    axes.set(yscale="log", ylabel="images", xlim=(edges[0], edges[-1]), ylim=(0.5, top))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    grid(axes, axis="y", color="white", linewidth=0.8)
    if named:
        name_ticks(axes.xaxis, [classes[label] for label in order])
    axes.set_xlabel("class, from the most to the fewest training images")
    figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False)
    return figure
