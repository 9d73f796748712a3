"""Measures over the epochs of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib.figure import Figure

from ltr.plots.style import COLOURS, from_zero, grid, legend

MARKED = 40

Line = tuple[Sequence[float], Sequence[float]]


def curves(panels: Mapping[str, Mapping[str, Line]], *, columns: int | None = None) -> Figure:
    """Plot measures over the epochs, one panel each; a line has the same colour in all panels.

    Args:
        panels: label with unit -> name of a line -> (epochs, values).
        columns: panels per row; by default two for up to four panels, else three.
    """
    names = dict.fromkeys(name for lines in panels.values() for name in lines)
    colours = dict(zip(names, cycle(COLOURS), strict=False))
    columns = columns or (2 if len(panels) <= 4 else 3)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(0.4 + 3.6 * columns, 0.6 + 2.9 * rows), layout="constrained")
    panel_axes = figure.subplots(rows, columns, squeeze=False).flat
    handles = {}
    for axes, (title, lines) in zip(panel_axes, panels.items(), strict=False):
        for name, (epochs, values) in lines.items():
            marker = "." if len(epochs) <= MARKED else None
            (handles[name],) = axes.plot(epochs, values, color=colours[name], marker=marker, linewidth=1.5, label=name)
        axes.set(ylabel=title, xlabel="epoch")
        grid(axes)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        from_zero(axes.yaxis)
    for axes in list(figure.axes)[len(panels) :]:
        axes.remove()
    legend(figure, [handles[name] for name in names])
    return figure
