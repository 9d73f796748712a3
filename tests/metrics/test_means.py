"""GM, HM, the lowest recall and the spread, against the public implementation, the standard library and by hand."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ltr.metrics import (
    geometric_mean,
    harmonic_mean,
    lowest,
    mean_recall,
    recall_std,
    worst_classes,
    worst_recall,
    zero_recall,
)

CASES = json.loads((Path(__file__).parents[1] / "references" / "metrics.json").read_text())["cases"]
MEANS = [mean_recall, geometric_mean, harmonic_mean, worst_recall, lowest, recall_std]


def recall_of(case: dict[str, Any]) -> torch.Tensor:
    """Return the recalls of a confusion matrix."""
    matrix = torch.tensor(case["confusion_matrix"]).double()
    return matrix.diagonal() / matrix.sum(1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_agree_with_the_public_implementation(case: dict[str, Any]) -> None:
    recall, expected = recall_of(case), case["expected"]
    assert mean_recall(recall) == pytest.approx(expected["mean_recall"], rel=1e-12)
    assert geometric_mean(recall) == pytest.approx(expected["geometric_mean"], rel=1e-12)
    assert harmonic_mean(recall) == pytest.approx(expected["harmonic_mean"], rel=1e-12)
    assert lowest(recall) == expected["lowest_recall_unclamped"]


def test_toy() -> None:
    recall = torch.tensor([0, 0.5, 1])
    assert geometric_mean(recall) == pytest.approx(0.0793701, abs=5e-8)
    assert harmonic_mean(recall) == pytest.approx(0.0029910, abs=5e-8)
    assert lowest(recall) == 0
    assert zero_recall(recall) == 1


@pytest.mark.parametrize("mean", MEANS)
def test_absent_classes_are_dropped(mean: Callable[[torch.Tensor], float]) -> None:
    recall = torch.tensor([0.2, math.nan, 0.8, 0.0])
    assert mean(recall) == mean(recall[[0, 2, 3]])
    assert zero_recall(recall) == 1


@pytest.mark.parametrize("mean", MEANS)
def test_nothing_measured_is_not_a_number(mean: Callable[[torch.Tensor], float]) -> None:
    assert math.isnan(mean(torch.full((3,), math.nan)))
    assert zero_recall(torch.full((3,), math.nan)) == 0
    assert worst_classes(torch.full((3,), math.nan)) == 0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_8142_classes_neither_underflow_nor_overflow(value: float) -> None:
    recall = torch.full((8142,), value)
    for mean in (geometric_mean, harmonic_mean):
        assert mean(recall) == pytest.approx(max(value, 1e-3), rel=1e-12), mean.__name__


def test_8142_classes_whose_product_is_no_number() -> None:
    recall = torch.rand(8142, generator=torch.Generator().manual_seed(1), dtype=torch.float64).clamp(min=1e-3)
    assert recall.prod() == 0, "a product of so many recalls underflows"
    assert geometric_mean(recall) == pytest.approx(statistics.geometric_mean(recall.tolist()), rel=1e-12)
    assert harmonic_mean(recall) == pytest.approx(statistics.harmonic_mean(recall.tolist()), rel=1e-12)


@pytest.mark.parametrize(("classes", "worst"), [(2, 1), (10, 1), (19, 1), (20, 2), (100, 10), (8142, 814)])
def test_the_worst_tenth_is_at_least_one_class(classes: int, worst: int) -> None:
    recall = torch.rand(classes, generator=torch.Generator().manual_seed(classes), dtype=torch.float64)
    assert worst_classes(recall) == worst
    assert worst_recall(recall) == pytest.approx(statistics.fmean(sorted(recall.tolist())[:worst]), rel=1e-12)


def test_the_spread_is_that_of_all_classes_there_are() -> None:
    recall = torch.rand(50, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert recall_std(recall) == pytest.approx(statistics.pstdev(recall.tolist()), rel=1e-12)
    assert recall_std(torch.full((7,), 0.25)) == 0


def test_the_means_are_ordered() -> None:
    recall = torch.rand(100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert 0 < harmonic_mean(recall) < geometric_mean(recall) < mean_recall(recall) < 1
