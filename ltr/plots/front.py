"""What heads give up in the mean for the worst classes, and where that is a choice."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from ltr.plots.recall import COLOURS

MARKERS = "osD^vPX*<>"
SAID = ("split", "loss", "lr", "t_old")
PANELS = {"hm": "harmonic mean of the recalls (%)", "lowest": "lowest recall (%)"}


def front(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw top-1 against harmonic mean and lowest recall, a point per head; a line joins those that nothing beats.

    A head together with the old one is hollow.

    Args:
        rows: with `loss`, `lr`, `t_old` and the measures as fractions; the loss `old head` is drawn as a star. Where
            rows have a spread over seeds, `top1_std` and so on, there are whiskers of one standard deviation.
    """
    figure = Figure(figsize=(11, 5), layout="constrained")
    panels = figure.subplots(1, len(PANELS))
    names = dict.fromkeys(row["loss"] for row in rows if row["loss"] != "old head")
    styles = dict(zip(names, zip(cycle(COLOURS), cycle(MARKERS), strict=False), strict=False))
    for axes, (key, label) in zip(panels, PANELS.items(), strict=True):
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
        axes.set(xlabel="top-1 (%)", ylabel=label)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    if any(row["t_old"] is not None for row in rows):
        panels[0].plot([], [], "o", color="0.3", markerfacecolor="white", label="hollow: with the old head")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return figure


def undominated(rows: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    """Return the rows that no other one equals or beats in both top-1 and a measure, beating it in one."""

    def beats(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        apart = (one["top1"] - other["top1"], one[key] - other[key])
        return bool(min(apart) >= 0 and max(apart) > 0)

    return [row for row in rows if not any(beats(other, row) for other in rows)]


def over_seeds(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per head with the mean of every measure, and its standard deviation as `{measure}_std`.

    Args:
        rows: of all heads with all `seed`s.
    """
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[tuple(row[key] for key in SAID)].append(row)
    means = []
    for head, each in found.items():
        measures: dict[str, Any] = {}
        for key in each[0]:
            values = [row[key] for row in each if row[key] is not None]
            if key not in (*SAID, "seed") and values:
                measures[key] = statistics.mean(values)
                measures[f"{key}_std"] = statistics.stdev(values) if len(values) > 1 else 0.0
        means.append({**dict(zip(SAID, head, strict=True)), **measures, "seeds": len(each)})
    return means
