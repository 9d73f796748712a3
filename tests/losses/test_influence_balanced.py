"""The influence-balanced loss, against the public code and as a slow loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import LONG_TAIL, Tolerance, agree, batch, cases, counts

from ltr.losses import InfluenceBalanced


@cases("influence_balanced")
def test_agrees_with_the_public_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    params = case["params"]
    loss = InfluenceBalanced(counts(case), alpha=params["alpha"], epsilon=params["epsilon"])
    agree(loss, case, tolerance if tolerance.loss < 1e-5 else Tolerance(1e-5, 1e-4))
    torch.testing.assert_close(loss.weights, torch.tensor(case["expected"]["class_weights"]), rtol=1e-6, atol=0)


@pytest.mark.usefixtures("double")
@cases("influence_balanced")
def test_the_factor_may_be_a_constant(case: dict[str, Any]) -> None:
    loss = InfluenceBalanced(counts(case), detach=True)
    expected = {"loss": case["expected"]["loss"], **case["detached_factor"]}
    agree(loss, case, Tolerance(1e-9, 1e-8), expected=expected)


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop() -> None:
    output, labels = batch()
    scale = len(LONG_TAIL) / sum(1 / count for count in LONG_TAIL)
    expected = []
    for row, feature, label in zip(output.logits.tolist(), output.features.tolist(), labels.tolist(), strict=True):
        p = [math.exp(logit) / sum(map(math.exp, row)) for logit in row]
        errors = sum(abs(value - (k == label)) for k, value in enumerate(p))
        factor = 1000 / (errors * sum(map(abs, feature)) + 1e-3)
        expected.append(scale / LONG_TAIL[label] * factor * -math.log(p[label]))
    values = InfluenceBalanced(torch.tensor(LONG_TAIL))(output, labels)
    assert values.tolist() == pytest.approx(expected, rel=1e-10)
