"""Differences with their intervals."""

from __future__ import annotations

from matplotlib.colors import to_hex

from ltr.plots import differences

ROWS = {
    "clear": {"top1": (2.0, 0.5), "gm": (1.0, None), "hm": (-3.0, 1.0), "lowest": (0.0, 1.0)},
    "noise": {"top1": (0.4, 0.5), "hm": (-0.5, 2.0)},
}


def test_filled_is_what_is_clear() -> None:
    figure = differences(ROWS, "CE")
    figure.draw_without_rendering()
    panels = figure.axes
    assert [axes.get_xlabel() for axes in panels] == [
        f"{name} (points)" for name in ("top-1", "geometric mean", "harmonic mean", "lowest recall")
    ]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["clear", "noise"]
    filled = {}
    for axes in panels:
        for bar in axes.containers:
            point = bar.lines[0]
            filled[axes.get_xlabel().partition(" (")[0], int(point.get_ydata()[0])] = (
                to_hex(point.get_markerfacecolor()) != "#ffffff"
            )
    assert filled == {
        ("top-1", 0): True,
        ("top-1", 1): False,
        ("geometric mean", 0): False,
        ("harmonic mean", 0): True,
        ("harmonic mean", 1): False,
        ("lowest recall", 0): False,
    }
