"""Top-1 against the worst-class measures: heads of one network, ensembles of two, changes of many networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from statistics import quantiles
from typing import Any

from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from ltr.measures import measure_of, shown
from ltr.metrics import undominated
from ltr.plots.style import COLOURS, MARKERS, from_zero, grid, legend


def front(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot harmonic mean and lowest recall against top-1, a point per head; a line joins the Pareto front.

    Ensembles of a head with the old one are hollow.

    Args:
        rows: with `loss`, `lr`, `t_old` and the measures as fractions; the loss `old head` is drawn as a star. Error
            bars show one standard deviation if rows have `top1_std` and so on.
    """
    figure = Figure(figsize=(11, 5), layout="constrained")
    measures = shown("front")
    panels = figure.subplots(1, len(measures))
    names = dict.fromkeys(row["loss"] for row in rows if row["loss"] != "old head")
    styles = dict(zip(names, zip(cycle(COLOURS), cycle(MARKERS), strict=False), strict=False))
    for axes, measure in zip(panels, measures, strict=True):
        key = measure.key
        edge = sorted(undominated(rows, key), key=lambda row: float(row["top1"]))
        points = [(100 * row["top1"], 100 * row[key]) for row in edge]
        axes.plot(*zip(*points, strict=True), color="0.6", linewidth=1.2, zorder=1, label="not beaten")
        for name, (colour, marker) in styles.items():
            for ensemble in (False, True):
                some = [row for row in rows if row["loss"] == name and (row["t_old"] is not None) == ensemble]
                if some:
                    axes.errorbar(
                        [100 * row["top1"] for row in some],
                        [100 * row[key] for row in some],
                        xerr=[100 * row.get("top1_std", 0.0) for row in some],
                        yerr=[100 * row.get(f"{key}_std", 0.0) for row in some],
                        linestyle="none",
                        ecolor=to_rgba(colour, 0.35),
                        elinewidth=0.8,
                        marker=marker,
                        markersize=5,
                        color=colour,
                        markerfacecolor="white" if ensemble else colour,
                        label=None if ensemble else name,
                    )
        for row in rows:
            if row["loss"] == "old head":
                axes.plot(100 * row["top1"], 100 * row[key], "*", color="black", markersize=14, label="old head")
        axes.set(xlabel="top-1 (%)", ylabel=measure.axis())
        grid(axes)
        from_zero(axes.yaxis, always=False)
    if any(row["t_old"] is not None for row in rows):
        panels[0].plot([], [], "o", color="0.3", markerfacecolor="white", label="hollow: with the old head")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return figure


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
        for (name, row), colour, marker in zip(points.items(), cycle(COLOURS), cycle("*sD^v"), strict=False):
            point = 100 * row["top1"], 100 * row[key]
            handles += axes.plot(*point, marker, color=colour, markersize=10, label=name, zorder=3)
        name, row = here
        point = 100 * row["top1"], 100 * row[key]
        ring = {"markersize": 15, "markerfacecolor": "none", "markeredgecolor": "black", "markeredgewidth": 2}
        handles += axes.plot(*point, "o", **ring, label=name, zorder=4)
        axes.set(xlabel="top-1 (%)", ylabel=measure.axis())
        grid(axes)
        from_zero(axes.yaxis, always=False)
    legend(figure, handles)
    return figure


def changes(networks: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Plot harmonic mean against top-1: a panel per network, with what was made of it; all others in grey behind.

    All panels have one range of top-1, without the points that a box plot would draw as outliers. The panel of a
    network with such a point has a range of its own.

    Args:
        networks: the networks by title, and of each what was made of it by title: `top1` and `hm` in percent. An empty
            title is the network itself; a line joins it to the others.
    """
    columns = min(len(networks), 3)
    rows = math.ceil(len(networks) / columns)
    figure = Figure(figsize=(3.7 * columns, 3.3 * rows + 0.9), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    names = dict.fromkeys(name for variants in networks.values() for name in variants if name)
    styles = dict(zip(names, zip(cycle(COLOURS), cycle(MARKERS), strict=False), strict=False))
    everything = [(one["top1"], one["hm"]) for variants in networks.values() for one in variants.values()]
    usual = without_outliers([top1 for top1, _ in everything])
    handles: dict[str, Any] = {}
    for axes, (title, variants) in zip(panels, networks.items(), strict=False):
        axes.plot(*zip(*everything, strict=True), "o", color="0.85", markersize=3, zorder=1)
        for name, one in variants.items():
            colour, marker = styles.get(name, ("black", "*"))
            if name and "" in variants:
                start = variants[""]
                axes.plot([start["top1"], one["top1"]], [start["hm"], one["hm"]], color=colour, linewidth=1, zorder=2)
            (handles[name],) = axes.plot(
                one["top1"],
                one["hm"],
                marker,
                color=colour,
                markersize=7 if name else 12,
                zorder=3,
                label=name or "the network itself",
            )
        own = [one["top1"] for one in variants.values()]
        axes.set_xlim(widened(usual if set(own) <= set(usual) else own))
        axes.set_title(title, fontsize=10, parse_math=False)
        grid(axes)
        from_zero(axes.yaxis)
    for axes in panels[len(networks) :]:
        axes.set_axis_off()
    figure.supxlabel("top-1 (%)", fontsize=10)
    figure.supylabel(measure_of("hm").axis(), fontsize=10)
    legend(figure, [handles[name] for name in ("", *names) if name in handles])
    return figure


def without_outliers(values: Sequence[float]) -> list[float]:
    """Return the values within the whiskers of a box plot: at most 1.5 interquartile ranges outside the quartiles."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    reach = 1.5 * (high - low)
    return [value for value in values if low - reach <= value <= high + reach]


def widened(values: Sequence[float]) -> tuple[float, float]:
    """Return a range around values, with a margin on both sides."""
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin
