"""Shared style: colours, shot groups, class names along an axis, the legend, saving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure

from ltr import files
from ltr.counts import shot_groups

# The palette of Okabe and Ito, which is safe for colour blindness.
COLOURS = ("#56B4E9", "#D55E00", "#009E73", "#000000", "#CC79A7", "#E69F00")
MARKERS = "osD^vPX*<>"
BARS = 200  # above this many classes, bars become outlines
SHADES = {"many": "0.98", "medium": "0.94", "few": "0.90"}


def group_spans(counts: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Return start and end (exclusive) of each non-empty shot group in the order of `by_count`."""
    spans, start = {}, 0
    for group, members in shot_groups(counts).items():
        if members:
            spans[group] = (start, start + len(members))
        start += len(members)
    return spans


def shade_groups(axes: Axes, counts: Sequence[int]) -> None:
    """Shade the shot groups behind the classes."""
    for group, (start, end) in group_spans(counts).items():
        axes.axvspan(start - 0.5, end - 0.5, color=SHADES[group], linewidth=0, zorder=0)


def label_groups(axes: Axes, counts: Sequence[int], *, block: int = 1) -> None:
    """Write the shot groups above the axes, unless too narrow; `block` classes are one unit wide."""
    for group, (start, end) in group_spans(counts).items():
        if end - start > 0.06 * len(counts):
            middle = (start + end) / 2 / block - 0.5
            axes.text(
                middle,
                1.01,
                group,
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="bottom",
                fontsize=9,
                color="0.3",
            )


def name_ticks(axis: Axis, names: Sequence[str]) -> None:
    """Write names along an axis at 0, 1, ...; above a hundred names, only every n-th."""
    step = 1 if len(names) <= 100 else -(-len(names) // 50)
    shown = list(names)[::step]
    crowded = len(shown) > 12 or max(map(len, shown)) > 6
    size = 9 if len(shown) <= 20 else 7 if len(shown) <= 50 else 5.5
    rotation = 90 if crowded and isinstance(axis, XAxis) else 0
    positions = range(0, len(names), step)
    axis.set_ticks(positions, shown, fontsize=size, rotation=rotation, parse_math=False)  # a `$` is a `$`


def grid(axes: Axes, **how: Any) -> None:
    """Draw a light grid behind the data."""
    axes.grid(**{"color": "0.92", **how})
    axes.set_axisbelow(True)


def from_zero(axis: Axis, *, always: bool = True) -> None:
    """Let an axis of values that are never negative begin at 0.

    Args:
        axis: of a figure that is drawn.
        always: False if it may begin above 0, where its values are.
    """
    low, high = axis.get_data_interval()
    if low >= 0 and (always or axis.get_view_interval()[0] < 0):
        limits = axis.axes.set_xlim if isinstance(axis, XAxis) else axis.axes.set_ylim
        limits(0, None if high > 0 else 1)


def legend(figure: Figure, handles: Sequence[Any]) -> None:
    """Write the legend above a figure, in as many columns as fit.

    Args:
        figure: the figure.
        handles: in the order of the legend; matplotlib would put lines before bars.
    """
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, int(figure.get_figwidth() / (0.6 + 0.08 * longest)))  # in inches: the symbol, then the letters
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), columns), frameon=False)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure in the format of the suffix; `path` never holds an incomplete file."""
    files.replace(Path(path), lambda temporary: figure.savefig(temporary, dpi=150))
