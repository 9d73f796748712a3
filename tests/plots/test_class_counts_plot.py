"""The images of every class as a figure."""

from __future__ import annotations

import math

import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from ltr.plots import class_counts


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_classes_go_by_training_count() -> None:
    figure = class_counts([3, 500, 50], [1, 9, 0], classes=["rare", "common", "between"])
    (axes,) = figure.axes
    bars = next(part for part in axes.containers if isinstance(part, BarContainer))
    assert [bar.get_height() for bar in bars.patches] == [500, 50, 3]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["common", "between", "rare"]
    assert axes.get_yscale() == "log"
    (points,) = axes.lines
    assert list(points.get_ydata()) == pytest.approx([9, math.nan, 1], nan_ok=True)
    assert legend(figure) == ["training images", "test images"]
    assert [text.get_text() for text in axes.texts] == ["many", "medium", "few"]


def test_a_balanced_test_split_is_not_drawn() -> None:
    figure = class_counts([500, 50, 5], [10, 10, 10], classes=["a", "b", "c"])
    assert not figure.axes[0].lines
    assert legend(figure) == ["training images"]


def test_a_class_of_one_image_shows_and_one_of_none_does_not() -> None:
    figure = class_counts([2, 1, 0], [1, 1, 1], classes=["a", "b", "c"])
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    assert 0 < low < 1 < 2 < high


def test_thousands_of_classes_are_one_outline() -> None:
    counts = [max(int(1000 * (rank + 1) ** -0.75), 2) for rank in range(8142)]
    figure = class_counts(counts, [3] * 8141 + [1], classes=[f"species {label}" for label in range(8142)])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert len([patch for patch in axes.patches if isinstance(patch, StepPatch)]) == 1
    assert len(axes.get_xticklabels()) < 20
