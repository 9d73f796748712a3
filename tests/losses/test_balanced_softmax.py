"""Balanced softmax, against the official implementation, by hand and as a slow loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import LONG_TAIL, TOY, Tolerance, agree, cases, counts, toy

from ltr.contracts import Output
from ltr.errors import InputError
from ltr.losses import BalancedSoftmax, CrossEntropy


@cases("balanced_softmax")
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    agree(BalancedSoftmax(counts(case)), case, tolerance)


def test_toy() -> None:
    values = toy(BalancedSoftmax(TOY))
    assert values.tolist() == pytest.approx([0.013934, 0.100809, 3.344546, 5.848514], abs=5.1e-7)
    assert toy(BalancedSoftmax(TOY, tau=1.5)).mean().item() == pytest.approx(3.123161, abs=1e-6)


def test_without_prior_it_is_cross_entropy() -> None:
    assert torch.equal(toy(BalancedSoftmax(TOY, tau=0)), toy(CrossEntropy(TOY)))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("tau", [0.7, 1.0, 1.5])
def test_the_formula_as_a_loop(tau: float) -> None:
    logits = 3 * torch.randn(20, 100, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) * 5
    expected = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        weighted = [count**tau * math.exp(logit) for count, logit in zip(LONG_TAIL, row, strict=True)]
        expected.append(-math.log(weighted[label] / sum(weighted)))
    values = BalancedSoftmax(torch.tensor(LONG_TAIL), tau=tau)(Output(logits, logits), labels)
    assert values.tolist() == pytest.approx(expected, rel=1e-12)


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(InputError, match="class 1 has no training image"):
        BalancedSoftmax(torch.tensor([5, 0, 3]))
