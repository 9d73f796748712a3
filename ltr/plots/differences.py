"""Paired differences of the rows of a study from a baseline, with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from ltr.measures import shown
from ltr.plots.style import COLOURS, grid


def differences(rows: Mapping[str, Mapping[str, tuple[float, float | None]]], base: str) -> Figure:
    """Plot paired differences with their intervals, one panel per measure; hollow if the interval includes 0.

    Args:
        rows: title of a row -> measure -> (mean difference in points, half the width of its interval or None).
        base: the title of the baseline.
    """
    figure = Figure(figsize=(12, 1.3 + 0.3 * len(rows)), layout="constrained")
    measures = shown("summary")
    panels = figure.subplots(1, len(measures), sharey=True)
    for axes, measure in zip(panels, measures, strict=True):
        for height, row in enumerate(rows.values()):
            if measure.key in row:
                mean, margin = row[measure.key]
                clear = margin is not None and abs(mean) > margin
                axes.errorbar(
                    mean,
                    height,
                    xerr=margin,
                    fmt="o",
                    markersize=5,
                    capsize=2.5,
                    color=COLOURS[0] if clear else "0.5",
                    markerfacecolor=COLOURS[0] if clear else "white",
                )
        axes.axvline(0, color="0.3", linewidth=1)
        grid(axes, axis="x")
        axes.set(xlabel=measure.axis("points"), ylim=(len(rows) - 0.5, -0.5))
    panels[0].set_yticks(range(len(rows)), list(rows))
    figure.suptitle(f"minus {base}; filled where the 95 % interval of the paired differences excludes 0", fontsize=10)
    return figure
