"""Per-class recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from ltr.counts import by_count
from ltr.plots.style import BARS, COLOURS, label_groups, legend, name_ticks, shade_groups


def per_class_recall(
    recalls: Mapping[str, Sequence[float | None]], counts: Sequence[int], *, classes: Sequence[str] | None = None
) -> Figure:
    """Plot the per-class recall of one or more models, from the most to the fewest training images.

    The first model is drawn as bars, the others as step lines over them, readable with 10 classes and with 100.
    A second panel below has the training counts.

    Args:
        recalls: name of a model -> (C,) fractions, NaN or None if not measured.
        counts: (C,) training images per class.
        classes: (C,) names; class indices by default.
    """
    order = by_count(counts)
    names = [str(label) if classes is None else classes[label] for label in order]
    edges = np.arange(len(order) + 1) - 0.5

    figure = Figure(figsize=(8, 4.8) if len(order) <= 30 else (13, 5.4), layout="constrained")
    axes, strip = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    handles: list[StepPatch | BarContainer] = []
    for (name, recall), colour in zip(recalls.items(), cycle(COLOURS), strict=False):
        percent = 100 * np.asarray(recall, dtype=float)[order]
        if handles:
            handles.append(axes.stairs(percent, edges, label=name, color=colour, linewidth=1.6, baseline=None))
        elif len(order) <= BARS:
            handles.append(axes.bar(range(len(order)), percent, width=0.8, label=name, color=colour))
        else:
            handles.append(axes.stairs(percent, edges, label=name, color=colour, fill=True))
    strip.stairs(np.asarray(counts)[order], edges, color="0.3", linewidth=1.0, baseline=None)
    for panel in (axes, strip):
        shade_groups(panel, counts)
    label_groups(axes, counts)
    axes.set(ylim=(0, 100), ylabel="recall (%)", xlim=(edges[0], edges[-1]))
    axes.grid(axis="y", color="white", linewidth=0.8)
    axes.set_axisbelow(True)
    strip.set(yscale="log", ylabel="training\nimages", xlabel="class, from the most to the fewest training images")
    extremes = sorted({min(counts), max(counts)})
    strip.set_yticks(extremes, [f"{count}" for count in extremes])
    strip.minorticks_off()
    name_ticks(strip.xaxis, names)
    legend(figure, handles)
    return figure
