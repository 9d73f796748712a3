"""The recall of every class as a figure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from ltr.plots import per_class_recall


def bars(figure: Figure) -> list[float]:
    """Return the heights of the bars."""
    container = next(part for part in figure.axes[0].containers if isinstance(part, BarContainer))
    return [bar.get_height() for bar in container.patches]


def steps(figure: Figure) -> list[StepPatch]:
    """Return the step lines over the bars."""
    return [patch for patch in figure.axes[0].patches if isinstance(patch, StepPatch)]


@pytest.mark.parametrize("classes", [10, 100])
def test_one_series(classes: int) -> None:
    recall = list(np.linspace(1, 0, classes))
    counts = [int(500 * 0.01 ** (label / (classes - 1))) for label in range(classes)]
    figure = per_class_recall({"GML": recall}, counts)
    assert bars(figure) == pytest.approx([100 * value for value in recall])
    assert steps(figure) == []
    axes, strip = figure.axes
    assert axes.get_ylim() == (0, 100)
    assert (axes.get_ylabel(), strip.get_ylabel()) == ("recall (%)", "training\nimages")
    assert "class" in strip.get_xlabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["GML"]
    assert [text.get_text() for text in axes.texts] == ["many", "medium", "few"]
    assert [label.get_text() for label in strip.get_yticklabels()] == ["5", "500"]


def test_classes_go_by_training_count() -> None:
    figure = per_class_recall({"old": [0.1, 0.2, 0.3]}, [5, 500, 50], classes=["rare", "common", "between"])
    assert bars(figure) == pytest.approx([20, 30, 10])
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["common", "between", "rare"]


@pytest.mark.parametrize("gap", [math.nan, None])
def test_two_series_keep_their_order_and_gaps(gap: float | None) -> None:
    figure = per_class_recall({"old": [0.9, 0.5, 0.1], "new": [0.8, gap, 0.4]}, [500, 50, 5])
    assert bars(figure) == pytest.approx([90, 50, 10])
    (line,) = steps(figure)
    assert line.get_data().values.tolist() == pytest.approx([80, math.nan, 40], nan_ok=True)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["old", "new"]


def test_the_legend_lies_outside_the_axes() -> None:
    figure = per_class_recall({"old": [0.9, 0.5], "new": [1.0, 1.0]}, [500, 50])
    figure.draw_without_rendering()
    legend, axes = figure.legends[0].get_window_extent(), figure.axes[0].get_window_extent()
    assert legend.y0 >= axes.y1, "the legend covers the bars"


def test_thousands_of_classes_are_one_outline() -> None:
    figure = per_class_recall({"old": [0.5] * 8142}, [7] * 8142)
    assert len(steps(figure)) == 1
    assert len(figure.axes[1].get_xticklabels()) <= 50
