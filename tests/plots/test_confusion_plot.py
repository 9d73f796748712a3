"""The confusion matrix as a figure."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ltr.plots import confusion


def drawn(figure: Figure) -> NDArray[np.float64]:
    """Return the matrix as it is shown, NaN where a row is empty."""
    values = np.ma.MaskedArray(figure.axes[0].images[0].get_array())
    return np.asarray(values.filled(np.nan), dtype=np.float64)


def test_rows_are_shares_in_the_order_of_the_counts() -> None:
    # Class 2 has the most training images, then 0, then 1, which the split lacks.
    figure = confusion([0, 0, 0, 0, 2, 2], [0, 0, 0, 2, 2, 1], classes=["a", "b", "c"], counts=[50, 5, 500])
    np.testing.assert_allclose(drawn(figure), [[50, 0, 50], [25, 75, 0], [np.nan] * 3])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["c", "a", "b"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["c", "a", "b"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert figure.axes[1].get_ylabel() == "share of the true class (%)"


def test_shot_groups_are_parted_and_named() -> None:
    axes = confusion([0], [0], classes=list("abcd"), counts=[500, 300, 50, 5]).axes[0]
    assert sorted(float(line.get_ydata()[0]) for line in axes.lines if len(set(line.get_ydata())) == 1) == [1.5, 2.5]
    assert {text.get_text() for text in axes.texts} >= {"many", "medium", "few"}


@pytest.mark.parametrize(("classes", "texts"), [(20, 20), (21, 0)])
def test_cells_are_written_up_to_twenty_classes(classes: int, texts: int) -> None:
    labels = torch.arange(classes)
    axes = confusion(labels, labels, classes=list(map(str, labels.tolist())), counts=[500] * classes).axes[0]
    assert sum(text.get_text() == "100" for text in axes.texts) == texts


def test_neighbours_share_a_cell_above_500_classes() -> None:
    labels = np.arange(1001)
    figure = confusion(labels, labels, classes=[str(label) for label in labels], counts=[9] * 1001)
    np.testing.assert_allclose(drawn(figure), 100 * np.eye(334))
    assert "3 classes" in figure.axes[0].get_xlabel()
    assert len(figure.axes[0].get_xticklabels()) <= 50


def test_a_hundred_names_do_not_overlap() -> None:
    figure = confusion([0], [0], classes=["aquarium_fish"] * 100, counts=list(range(500, 0, -5)))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(above.y0 >= below.y1 - 1 for above, below in pairwise(boxes)), "names overlap"


def test_a_class_may_have_any_name() -> None:
    names = ["$\\frac{$", "_b"]
    figure = confusion([0, 1], [0, 1], classes=names, counts=[50, 5])
    figure.draw_without_rendering()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == names
