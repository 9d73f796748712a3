"""The recall of the shot groups as a figure."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ltr.plots import group_recall


def test_evaluations_stand_side_by_side() -> None:
    rows = {"test": {"many": 0.7, "medium": 0.5, "few": 0.2}, "la": {"many": 0.6, "medium": None, "few": 0.3}}
    figure = group_recall(rows, [500, 400, 50, 5])
    (axes,) = figure.axes
    first, second = ([bar.get_height() for bar in container.patches] for container in axes.containers)
    np.testing.assert_allclose(first, [70, 50, 20])
    np.testing.assert_allclose(second, [60, np.nan, 30])
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["many (2 classes)", "medium (1 class)", "few (1 class)"]
    bars = [bar for container in axes.containers for bar in container.patches]
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars)
    assert all(left[1] <= right[0] + 1e-9 for left, right in pairwise(edges)), "bars overlap"


def test_a_group_without_classes_is_left_out() -> None:
    axes = group_recall({"test": {"many": 0.7, "medium": None, "few": None}}, [500, 400]).axes[0]
    assert [bar.get_height() for bar in axes.containers[0].patches] == pytest.approx([70])
