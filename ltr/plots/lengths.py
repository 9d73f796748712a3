"""Weight norms of the classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from ltr.counts import by_count
from ltr.plots.style import BARS, COLOURS, MARKERS, grid, label_groups, name_ticks, shade_groups


def lengths(heads: Mapping[str, Sequence[float]], counts: Sequence[int], *, classes: Sequence[str]) -> Figure:
    """Plot the weight norm of every class, from the most to the fewest training images.

    Args:
        heads: name of a classifier -> (C,) norms.
        counts: (C,) training images per class.
        classes: (C,) names.

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020,
        https://arxiv.org/abs/1910.09217, where the norms fall with the training counts.
    """
    order = by_count(counts)
    figure = Figure(figsize=(8, 3.8) if len(order) <= 30 else (13, 4.4), layout="constrained")
    axes = figure.add_subplot()
    shade_groups(axes, counts)
    label_groups(axes, counts)
    for (name, values), colour, marker in zip(heads.items(), cycle(COLOURS), cycle(MARKERS), strict=False):
        shown = marker if len(order) <= BARS else ""
        axes.plot(np.asarray(values)[order], color=colour, linewidth=1, marker=shown, markersize=4, label=name)
    axes.set(ylabel="length of the weights", xlim=(-0.5, len(order) - 0.5))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("class, from the most to the fewest training images")
    grid(axes, axis="y", color="white", linewidth=0.8)
    name_ticks(axes.xaxis, [classes[label] for label in order])
    figure.legend(loc="outside upper left", ncols=4, frameon=False)
    return figure
