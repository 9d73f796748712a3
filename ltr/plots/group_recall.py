"""Mean recall of the shot groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from ltr.counts import shot_groups
from ltr.markdown import plural
from ltr.plots.style import COLOURS, legend


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
        places = np.arange(len(groups)) + (number - (len(rows) - 1) / 2) * width
        bars = axes.bar(places, percent, width=0.92 * width, color=colour, label=name)
        handles.append(bars)
        written = ["" if np.isnan(value) else f"{value:.1f}" for value in percent]
        axes.bar_label(bars, written, fontsize=8, padding=1)
    sizes = {group: plural(len(members), "class", "classes") for group, members in groups.items()}
    axes.set_xticks(range(len(groups)), [f"{group} ({size})" for group, size in sizes.items()])
    axes.set(ylabel="mean recall (%)", ylim=(0, 105))
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    legend(figure, handles)
    return figure
