"""Recall per class, its change, and its mean over the shot groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from ltr.counts import by_count, shot_groups
from ltr.plots.style import BARS, COLOURS, grid, label_groups, legend, name_ticks, shade_groups
from ltr.sentences import plural


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
    grid(axes, axis="y", color="white", linewidth=0.8)
    strip.set(yscale="log", ylabel="training\nimages", xlabel="class, from the most to the fewest training images")
    extremes = sorted({min(counts), max(counts)})
    strip.set_yticks(extremes, [f"{count}" for count in extremes])
    strip.minorticks_off()
    name_ticks(strip.xaxis, names)
    legend(figure, handles)
    return figure


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
    positions = np.arange(len(order))
    handles = [
        axes.bar(positions[some], change[some], width=0.8, color=colour, label=f"{name} is better")
        for name, colour, some in zip(names, COLOURS, (change < 0, change > 0), strict=False)
    ]
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.set(ylabel="difference of the recalls\n(percentage points)", xlim=(-0.5, len(order) - 0.5))
    axes.set_xlabel("class, from the most to the fewest training images")
    grid(axes, axis="y", color="white", linewidth=0.8)
    name_ticks(axes.xaxis, [classes[label] for label in order])
    legend(figure, handles)
    return figure


def group_recall(rows: Mapping[str, Mapping[str, float | None]], counts: Sequence[int]) -> Figure:
    """Plot the mean recall of the classes with many, medium and few training images, as grouped bars.

    Args:
        rows: name of an evaluation -> shot group -> fraction; None or NaN if not measured.
        counts: (C,) training images per class.
    """
    groups = {group: members for group, members in shot_groups(counts).items() if members}
    width = 0.84 / max(len(rows), 1)
    figure = Figure(figsize=(max(6.5, 1.6 + 0.55 * len(rows) * len(groups)), 4), layout="constrained")
    axes = figure.add_subplot()
    handles: list[BarContainer] = []
    for number, ((name, row), colour) in enumerate(zip(rows.items(), cycle(COLOURS), strict=False)):
        percent = 100 * np.asarray([row.get(group) for group in groups], dtype=float)
        positions = np.arange(len(groups)) + (number - (len(rows) - 1) / 2) * width
        bars = axes.bar(positions, percent, width=0.92 * width, color=colour, label=name)
        handles.append(bars)
        written = ["" if np.isnan(value) else f"{value:.1f}" for value in percent]
        axes.bar_label(bars, written, fontsize=8, padding=1)
    sizes = {group: plural(len(members), "class", "classes") for group, members in groups.items()}
    axes.set_xticks(range(len(groups)), [f"{group} ({size})" for group, size in sizes.items()])
    axes.set(ylabel="mean recall (%)", ylim=(0, 105))
    grid(axes, axis="y")
    legend(figure, handles)
    return figure
