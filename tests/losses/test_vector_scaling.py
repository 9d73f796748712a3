"""The vector-scaling loss and its two ends, CDT and balanced softmax, against the official code and as a slow loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import LONG_TAIL, TOY, Tolerance, agree, batch, cases, counts, toy

from ltr.losses import CDT, CrossEntropy, VectorScaling


@cases("cdt")
def test_cdt_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    loss = CDT(counts(case), gamma=case["params"]["gamma"])
    agree(loss, case, tolerance)
    torch.testing.assert_close(1 / loss.scales, torch.tensor(case["expected"]["temperatures"]), rtol=1e-6, atol=0)


@cases("balanced_softmax")
def test_without_scaling_it_is_balanced_softmax(case: dict[str, Any], tolerance: Tolerance) -> None:
    agree(VectorScaling(counts(case), gamma=0), case, tolerance)


def test_toy() -> None:
    assert toy(CDT(TOY)).mean().item() == pytest.approx(1.089384, abs=1e-6)
    loss = VectorScaling(TOY)
    assert loss.scales.tolist() == pytest.approx([1, 0.891251, 0.794328], abs=5.1e-7)
    assert toy(loss).mean().item() == pytest.approx(2.268837, abs=1e-6)


def test_without_either_it_is_cross_entropy() -> None:
    assert torch.equal(toy(CDT(TOY, gamma=0)), toy(CrossEntropy(TOY)))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("gamma", "tau"), [(0.05, 1.0), (0.3, 0.0), (0.15, 1.25)])
def test_the_formula_as_a_loop(gamma: float, tau: float) -> None:
    """As orparask/VS-Loss has it: z / ((1 / N_c)^gamma / min) + tau log(N_c / N)."""
    output, labels = batch()
    smallest = min((1 / count) ** gamma for count in LONG_TAIL)
    expected = []
    for row, label in zip(output.logits.tolist(), labels.tolist(), strict=True):
        terms = [
            math.exp(logit / ((1 / count) ** gamma / smallest) + tau * math.log(count / sum(LONG_TAIL)))
            for logit, count in zip(row, LONG_TAIL, strict=True)
        ]
        expected.append(-math.log(terms[label] / sum(terms)))
    values = VectorScaling(torch.tensor(LONG_TAIL), gamma=gamma, tau=tau)(output, labels)
    assert values.tolist() == pytest.approx(expected, rel=1e-11)
