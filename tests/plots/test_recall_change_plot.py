"""What every class gains or loses as a figure."""

from __future__ import annotations

import pytest
from matplotlib.axes import Axes

from ltr.plots import recall_change


def bars(axes: Axes) -> list[dict[int, float]]:
    """Return the heights by place of those for the first and those for the second."""
    each = [container.patches for container in axes.containers]
    return [{round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in patches} for patches in each]


def test_bars_are_differences_in_the_order_of_the_counts() -> None:
    figure = recall_change(
        [0.5, 0.2, 0.4], [0.4, 0.9, 0.4], [50, 5, 500], classes=["a", "b", "c"], names=("old", "new")
    )
    (axes,) = figure.axes
    worse, better = bars(axes)
    assert worse == pytest.approx({1: -10})
    assert better == pytest.approx({2: 70})
    assert [label.get_text() for label in axes.get_xticklabels()] == ["c", "a", "b"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["old is better", "new is better"]


def test_a_class_that_was_not_measured_has_no_bar() -> None:
    axes = recall_change([None, 0.2], [0.3, 0.3], [50, 5], classes=["a", "b"]).axes[0]
    assert bars(axes) == [{}, pytest.approx({1: 10})]
    assert axes.get_xlim() == (-0.5, 1.5)
