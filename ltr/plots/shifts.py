"""Top-1 against the class distribution of the test set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from matplotlib.figure import Figure

from ltr.plots.style import COLOURS, MARKERS, grid

SIDES = {"backward": -1, "uniform": 0, "forward": 1}


def shifts(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot top-1 over test distributions from backward to uniform to forward, one line per treatment.

    Args:
        rows: with `distribution`, `parameter`, `treatment` and `top1` as a fraction; other distributions are left out.
    """
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    ordered = [row for row in rows if row["distribution"] in SIDES]
    ticks = {position(row): f"{row['parameter']:g}" for row in ordered}
    names = dict.fromkeys(row["treatment"] for row in ordered)
    for name, colour, marker in zip(names, cycle(COLOURS), cycle(MARKERS), strict=False):
        points = sorted((position(row), 100 * row["top1"]) for row in ordered if row["treatment"] == name)
        axes.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=5, linewidth=1.6, label=name)
    axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set(xlabel="backward  ←  imbalance of the test set  →  forward", ylabel="top-1 (%)")
    grid(axes)
    figure.legend(loc="outside upper right", ncols=4, frameon=False)
    return figure


def position(row: Mapping[str, Any]) -> float:
    """Return the position of a distribution: the logarithm of its imbalance, negative if backward."""
    return SIDES[row["distribution"]] * math.log(row["parameter"])
