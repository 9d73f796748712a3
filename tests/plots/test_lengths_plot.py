"""The lengths of the classifier's weights as a figure."""

from __future__ import annotations

import pytest

from ltr.plots import lengths


def test_lines_go_by_training_count_from_zero() -> None:
    figure = lengths({"old": [1.0, 3.0, 2.0], "new": [2.0, 2.5, 2.2]}, [5, 500, 50], classes=["a", "b", "c"])
    (axes,) = figure.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[3.0, 2.0, 1.0], [2.5, 2.2, 2.0]]
    assert axes.get_ylim()[0] == 0
    assert [label.get_text() for label in axes.get_xticklabels()] == ["b", "c", "a"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["old", "new"]


@pytest.mark.parametrize(("classes", "marked"), [(200, True), (201, False)])
def test_thousands_of_classes_have_no_markers(classes: int, marked: bool) -> None:
    axes = lengths({"head": [1.0] * classes}, [9] * classes, classes=["x"] * classes).axes[0]
    assert (axes.lines[0].get_marker() not in ("", "None", None)) == marked
