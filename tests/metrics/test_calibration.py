"""The expected calibration error, against the public implementation and at the edges of the bins."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from ltr.metrics import Recall, Report, expected_calibration_error

CASES = json.loads((Path(__file__).parents[1] / "references" / "calibration_ece.json").read_text())["cases"]


def state_of(case: dict[str, Any], dtype: torch.dtype) -> Recall:
    """Return the state after probabilities that have the case's confidences and predictions."""
    labels, predictions = torch.tensor(case["labels"]), torch.tensor(case["predictions"])
    probabilities = torch.zeros(len(labels), 10, dtype=dtype)
    probabilities[torch.arange(len(labels)), predictions] = torch.tensor(case["confidences"], dtype=dtype)
    recall = Recall(10)
    recall.update(probabilities, labels)
    return recall


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_agrees_with_the_public_implementation(case: dict[str, Any], dtype: torch.dtype) -> None:
    recall, expected = state_of(case, dtype), case["expected"]
    assert recall.bin_totals.tolist() == expected["bin_count"]
    sizes = recall.bin_totals.clamp(min=1).double()
    assert (recall.bin_hits / sizes).tolist() == pytest.approx(expected["bin_accuracy"], abs=1e-12)
    assert (recall.bin_confidences / 2**40 / sizes).tolist() == pytest.approx(expected["bin_confidence"], abs=1e-12)
    assert Report.of(recall, [1] * 10).ece == pytest.approx(expected["ece"], rel=1e-12)


@pytest.mark.parametrize("bins", [10, 15, 16])
def test_a_bin_holds_its_upper_edge_and_not_its_lower(bins: int) -> None:
    edges = torch.arange(1, bins + 1, dtype=torch.float64) / bins
    recall = Recall(1, bins)
    recall.update(edges[:, None], torch.zeros(bins, dtype=torch.int64))
    assert recall.bin_totals.tolist() == [1] * bins, "an edge fell out of the bin that it closes"
    recall.reset()
    recall.update(edges[:-1, None] + 1e-9, torch.zeros(bins - 1, dtype=torch.int64))
    assert recall.bin_totals.tolist() == [0] + [1] * (bins - 1), "what lies above an edge belongs to the next bin"


@pytest.mark.parametrize("bins", [10, 15])
def test_float32_falls_where_its_exact_value_lies(bins: int) -> None:
    confidences = torch.rand(2000, generator=torch.Generator().manual_seed(1))
    edges = (torch.arange(1, bins) / bins).float()
    confidences = torch.cat([confidences, edges, edges.nextafter(edges + 1), edges.nextafter(edges - 1)])
    recall = Recall(1, bins)
    recall.update(confidences[:, None], torch.zeros(len(confidences), dtype=torch.int64))
    # A ratio of integers knows no rounding: ceil(confidence * bins) - 1.
    ratios = [value.as_integer_ratio() for value in confidences.tolist()]
    exact = torch.tensor([-(-bins * top // bottom) - 1 for top, bottom in ratios])
    assert recall.bin_totals.tolist() == torch.bincount(exact, minlength=bins).tolist()


def test_confidences_at_and_beyond_the_ends_stay_in_the_end_bins() -> None:
    recall = Recall(1)
    recall.update(torch.tensor([[0.0], [1.0], [1 + 1e-6]]), torch.zeros(3, dtype=torch.int64))
    assert recall.bin_totals.tolist() == [1] + [0] * 13 + [2]


def test_by_hand() -> None:
    hits, confidences = torch.tensor([1, 3]), torch.tensor([2.0, 3.5])
    assert expected_calibration_error(hits, confidences, images=10) == pytest.approx(0.15)
    assert math.isnan(expected_calibration_error(hits * 0, confidences * 0, images=0))
