"""Focal losses, against the official code and as slow loops."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from official import LABELS, LOGITS, TOY, Tolerance, agree, batch, cases, counts, toy
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.losses import ClassBalanced, CostSensitive, CrossEntropy, Focal, SigmoidFocal


def build(case: dict[str, Any]) -> Loss:
    """Return the loss of a case."""
    gamma = case["params"]["gamma"]
    sigmoid = partial(SigmoidFocal, gamma=gamma)
    forms = {
        "softmax": partial(Focal, gamma=gamma),
        "softmax_detached": partial(Focal, gamma=gamma, detach=True),
        "softmax_weighted": partial(ClassBalanced, loss=partial(Focal, gamma=gamma), weighted_mean=False),
        "sigmoid": sigmoid,
        "sigmoid_cost_sensitive": partial(CostSensitive, loss=sigmoid, weighted_mean=False),
        "sigmoid_class_balanced": partial(ClassBalanced, loss=sigmoid, beta=0.9, weighted_mean=False),
    }
    loss: Loss = forms[case["params"]["form"]](counts(case))
    return loss


@cases("focal", lambda case: case["params"]["form"] != "softmax_weighted")
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    agree(build(case), case, tolerance)


@pytest.mark.usefixtures("double")
@cases("focal", lambda case: case["params"]["form"] == "softmax_weighted")
def test_weights_stay_outside_the_factor_unlike_in_the_official_code(case: dict[str, Any]) -> None:
    logits, labels = torch.tensor(case["logits"]), torch.tensor(case["labels"])
    weights = torch.tensor(case["expected"]["class_weights"])[labels]
    plain = F.cross_entropy(logits, labels, reduction="none")
    official = ((1 - (-weights * plain).exp()) * weights * plain).mean().item()
    assert official == pytest.approx(case["expected"]["loss"], rel=1e-8), "this is the deviation, no other"
    value = build(case)(Output(logits, logits), labels).mean().item()
    assert value == pytest.approx((weights * (1 - (-plain).exp()) * plain).mean().item(), rel=1e-8)
    assert abs(value - official) > 1e-3 * official


def test_toy() -> None:
    assert toy(Focal(TOY, gamma=2)).mean().item() == pytest.approx(0.868535, abs=1e-6)
    assert toy(SigmoidFocal(TOY)).mean().item() == pytest.approx(0.911403, abs=1e-6)


def test_without_gamma() -> None:
    torch.testing.assert_close(toy(Focal(TOY, gamma=0)), toy(CrossEntropy(TOY)))
    binary = F.binary_cross_entropy_with_logits(LOGITS, F.one_hot(LABELS).float(), reduction="none").sum(1)
    torch.testing.assert_close(toy(SigmoidFocal(TOY, gamma=0)), binary)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_formulas_as_loops(gamma: float) -> None:
    output, labels = batch(classes=7)
    softmax, sigmoid = [], []
    for row, label in zip(output.logits.tolist(), labels.tolist(), strict=True):
        p = math.exp(row[label]) / sum(math.exp(logit) for logit in row)
        softmax.append(-((1 - p) ** gamma) * math.log(p))
        right = [1 / (1 + math.exp(-logit if k == label else logit)) for k, logit in enumerate(row)]
        sigmoid.append(-sum((1 - q) ** gamma * math.log(q) for q in right))
    assert Focal(TOY, gamma=gamma)(output, labels).tolist() == pytest.approx(softmax, rel=1e-10)
    assert SigmoidFocal(TOY, gamma=gamma)(output, labels).tolist() == pytest.approx(sigmoid, rel=1e-10)


@pytest.mark.parametrize("kind", [Focal, SigmoidFocal])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_gradients_are_finite_where_nothing_is_left_to_learn(kind: type[Loss], gamma: float) -> None:
    logits = torch.tensor([[1e4, -1e4, -1e4], [-1e4, 1e4, -1e4]], requires_grad=True)
    kind(TOY, gamma=gamma)(Output(logits, logits), torch.tensor([0, 0])).sum().backward()  # type: ignore[call-arg]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
