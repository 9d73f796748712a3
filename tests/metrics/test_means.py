"""GM, HM and the lowest recall, against the public implementation and by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ltr.metrics import geometric_mean, harmonic_mean, lowest, mean_recall, zero_recall

CASES = json.loads((Path(__file__).parents[1] / "references" / "metrics.json").read_text())["cases"]
MEANS = [mean_recall, geometric_mean, harmonic_mean, lowest]


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


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_8142_classes_neither_underflow_nor_overflow(value: float) -> None:
    recall = torch.full((8142,), value)
    for mean in (geometric_mean, harmonic_mean):
        assert mean(recall) == pytest.approx(max(value, 1e-3), rel=1e-12), mean.__name__


def test_the_means_are_ordered() -> None:
    recall = torch.rand(100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert 0 < harmonic_mean(recall) < geometric_mean(recall) < mean_recall(recall) < 1
