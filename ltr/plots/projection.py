"""Features of a few classes, projected to two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ltr.counts import by_count
from ltr.plots.style import MARKERS


def projection(
    points: ArrayLike, labels: ArrayLike, counts: Sequence[int], *, classes: Sequence[str], axes_names: tuple[str, str]
) -> Figure:
    """Plot points coloured by class, from dark for the most training images to light for the fewest.

    Args:
        points: (M, 2).
        labels: (M,) classes; there should be few.
        counts: (C,) training images per class.
        classes: (C,) names.
        axes_names: labels of the two axes.
    """
    points, labels = np.asarray(points), np.asarray(labels)
    figure = Figure(figsize=(8.5, 5.6), layout="constrained")
    axes = figure.add_subplot()
    shown = [label for label in by_count(counts) if label in set(labels.tolist())]
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.95, len(shown)))
    for label, colour, marker in zip(shown, colours, cycle(MARKERS), strict=False):
        some = points[labels == label]
        name = f"{classes[label]} ({counts[label]:,})"
        axes.plot(*some.T, linestyle="none", color=colour, marker=marker, markersize=4.5, alpha=0.75, label=name)
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    axes.set_xticks([])
    axes.set_yticks([])
    figure.legend(
        title="class (training images)", loc="outside right upper", frameon=False, markerscale=1.6, alignment="left"
    )
    return figure
