"""Balanced softmax, against the official implementation, by hand and as a slow loop."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ltr.contracts import Output
from ltr.errors import InputError
from ltr.losses import BalancedSoftmax, CrossEntropy

CASES = json.loads((Path(__file__).parents[1] / "references" / "balanced_softmax.json").read_text())["cases"]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
TOY = torch.tensor([100, 10, 1])
LOGITS = torch.tensor([[2.0, 0, -1], [0.5, 0.5, 0], [1, 0, 0.5], [0, 1, -1]])
LABELS = torch.tensor([0, 0, 1, 2])


def measured(case: dict[str, Any]) -> tuple[float, Tensor]:
    """Return the mean loss of a case and its gradient."""
    logits = torch.tensor(case["logits"], requires_grad=True)
    value = BalancedSoftmax(torch.tensor(case["counts"]))(Output(logits, logits), torch.tensor(case["labels"])).mean()
    (gradient,) = torch.autograd.grad(value, logits)
    return value.item(), gradient


@pytest.mark.usefixtures("double")
@every_case
def test_agrees_with_the_official_code_in_float64(case: dict[str, Any]) -> None:
    value, gradient = measured(case)
    assert value == pytest.approx(case["expected"]["loss"], rel=1e-9)
    torch.testing.assert_close(gradient, torch.tensor(case["expected"]["grad_logits"]), rtol=0, atol=1e-8)


@every_case
def test_agrees_with_the_official_code_in_float32(case: dict[str, Any]) -> None:
    value, gradient = measured(case)
    assert value == pytest.approx(case["expected"]["loss"], rel=1e-5)
    torch.testing.assert_close(gradient, torch.tensor(case["expected"]["grad_logits"]), rtol=1e-5, atol=1e-5)


def test_toy() -> None:
    values = BalancedSoftmax(TOY)(Output(LOGITS, LOGITS), LABELS)
    assert values.tolist() == pytest.approx([0.013934, 0.100809, 3.344546, 5.848514], abs=5.1e-7)
    assert BalancedSoftmax(TOY, tau=1.5)(Output(LOGITS, LOGITS), LABELS).mean().item() == pytest.approx(
        3.123161, abs=1e-6
    )


def test_without_prior_it_is_cross_entropy() -> None:
    output = Output(LOGITS, LOGITS)
    assert torch.equal(BalancedSoftmax(TOY, tau=0)(output, LABELS), CrossEntropy(TOY)(output, LABELS))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("tau", [0.7, 1.0, 1.5])
def test_the_formula_as_a_loop(tau: float) -> None:
    counts = [int(500 * 0.01 ** (label / 99)) for label in range(100)]
    logits = 3 * torch.randn(20, 100, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) * 5
    expected = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        weighted = [count**tau * math.exp(logit) for count, logit in zip(counts, row, strict=True)]
        expected.append(-math.log(weighted[label] / sum(weighted)))
    values = BalancedSoftmax(torch.tensor(counts), tau=tau)(Output(logits, logits), labels)
    assert values.tolist() == pytest.approx(expected, rel=1e-12)


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(InputError, match="class 1 has no training image"):
        BalancedSoftmax(torch.tensor([5, 0, 3]))
