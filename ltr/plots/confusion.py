"""The confusion matrix of a split."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ltr.counts import by_count
from ltr.plots.style import group_spans, label_groups, name_ticks

TEXT_CLASSES, CELLS = 20, 500


def confusion(labels: ArrayLike, predictions: ArrayLike, *, classes: Sequence[str], counts: Sequence[int]) -> Figure:
    """Plot the confusion matrix, in percent of each row.

    Classes are ordered from the most to the fewest training images; thin lines separate many, medium and few. The
    colour scale is a square root, so that rare confusions are visible. A row without images is grey. Above 500 classes,
    neighbouring classes share a cell.

    Args:
        labels: (N,) true classes.
        predictions: (N,) predicted classes.
        classes: (C,) names.
        counts: (C,) training images per class.
    """
    order = by_count(counts)
    block = -(-len(order) // CELLS)
    cell = np.empty_like(order)
    cell[order] = np.arange(len(order)) // block
    names = [classes[label] for label in order[::block]]
    matrix = np.zeros((len(names), len(names)))
    np.add.at(matrix, (cell[np.asarray(labels)], cell[np.asarray(predictions)]), 100)
    images = matrix.sum(axis=1, keepdims=True) / 100
    share = np.ma.masked_invalid(np.divide(matrix, images, where=images > 0, out=np.full_like(matrix, np.nan)))

    side = 6.5 if len(names) <= TEXT_CLASSES else 11.0
    figure = Figure(figsize=(side * 1.12, side), layout="compressed")
    axes = figure.add_subplot()
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="0.85")
    image = axes.imshow(share, cmap=colours, norm=PowerNorm(0.5, 0, 100), interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, ticks=[0, 1, 5, 10, 25, 50, 75, 100])
    bar.set_label("share of the true class (%)")
    for _, end in list(group_spans(counts).values())[:-1]:
        axes.axhline(end / block - 0.5, color="0.35", linewidth=0.7)
        axes.axvline(end / block - 0.5, color="0.35", linewidth=0.7)
    if len(names) <= TEXT_CLASSES:
        for (row, column), value in np.ndenumerate(share.filled(0)):
            if value >= 0.5:
                colour = "white" if value > 40 else "black"
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
    label_groups(axes, counts, block=block)
    name_ticks(axes.xaxis, names)
    name_ticks(axes.yaxis, names)
    suffix = f" (every cell {block} classes wide)" if block > 1 else ""
    axes.set_xlabel(f"predicted{suffix}")
    axes.set_ylabel(f"true{suffix}")
    return figure
