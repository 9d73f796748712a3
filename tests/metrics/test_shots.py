"""Many, medium and few, against the public implementation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from ltr.metrics import shot_recall

CASES = json.loads((Path(__file__).parents[1] / "references" / "metrics.json").read_text())["cases"]


@pytest.mark.parametrize("case", [case for case in CASES if "counts" in case], ids=lambda case: case["name"])
def test_agrees_with_the_public_implementation(case: dict[str, Any]) -> None:
    matrix = torch.tensor(case["confusion_matrix"]).double()
    shots = shot_recall(matrix.diagonal() / matrix.sum(1), case["counts"])
    for size, (group, value) in zip(case["expected"]["group_sizes"], shots.items(), strict=True):
        # The public implementation says 0 for a group without classes.
        assert value == pytest.approx(case["expected"][group] if size else math.nan, rel=1e-12, nan_ok=True), group


def test_the_bounds_belong_to_medium() -> None:
    assert shot_recall(torch.tensor([0.1, 0.2, 0.4, 0.8]), [101, 100, 20, 19]) == pytest.approx(
        {"many": 0.1, "medium": 0.3, "few": 0.8}
    )


def test_absent_classes_are_dropped() -> None:
    shots = shot_recall(torch.tensor([math.nan, 0.4, math.nan]), [500, 200, 3])
    assert shots["many"] == pytest.approx(0.4)
    assert math.isnan(shots["medium"]), "a group without classes has no recall"
    assert math.isnan(shots["few"]), "a group of absent classes has no recall"
