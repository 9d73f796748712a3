"""What every class gains or loses as a figure."""

from __future__ import annotations

import pytest

from ltr.plots import recall_change


def test_bars_are_differences_in_the_order_of_the_counts() -> None:
    figure = recall_change([0.5, 0.2, 0.4], [0.4, 0.9, 0.4], [50, 5, 500], classes=["a", "b", "c"], names=("old", "new"))
    (axes,) = figure.axes
    found = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches if bar.get_width() < 1}
    assert [found[place] for place in range(3)] == pytest.approx([0, -10, 70])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["c", "a", "b"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["new is better", "old is better"]


def test_a_class_that_was_not_measured_has_no_bar() -> None:
    axes = recall_change([None, 0.2], [0.3, 0.3], [50, 5], classes=["a", "b"]).axes[0]
    assert sorted(bar.get_height() for bar in axes.patches if bar.get_width() < 1) == pytest.approx([0, 10])
