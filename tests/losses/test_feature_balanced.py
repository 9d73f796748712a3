"""The feature-balanced loss, against the official code and as a slow loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import LABELS, LOGITS, LONG_TAIL, TOY, Tolerance, agree, batch, cases, counts, toy

from ltr.contracts import Output
from ltr.losses import CrossEntropy, FeatureBalanced


@cases("feabal")
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    params, expected = case["params"], case["expected"]
    loss = FeatureBalanced(counts(case), strength=params["strength"])
    loss.set_epoch(params["epoch_0based"], params["total_epochs"])
    agree(loss, case, tolerance)
    assert loss.curriculum == pytest.approx(expected["curriculum"], rel=1e-12)
    assert (loss.handicaps / params["strength"]).tolist() == pytest.approx(expected["class_lambda"], rel=1e-6)


def test_toy() -> None:
    loss = FeatureBalanced(TOY)
    loss.set_epoch(190, 200)
    values = loss(Output(LOGITS, torch.full((4, 9), 10.0)), LABELS)
    assert values.mean().item() == pytest.approx(1.585249, abs=1e-6)


def test_golden_ratios() -> None:
    ratios = FeatureBalanced(torch.tensor(LONG_TAIL), strength=1).handicaps
    assert ratios[[0, 50, 99]].tolist() == pytest.approx([0, 0.508864, 1], abs=5.1e-7)


def test_the_first_epoch_is_cross_entropy() -> None:
    loss = FeatureBalanced(TOY)
    loss.set_epoch(0, 200)
    assert torch.equal(toy(loss), toy(CrossEntropy(TOY)))


@pytest.mark.parametrize("epochs", [1, 2, 10, 11, 30])
def test_the_curriculum_keeps_its_pace_in_a_short_run(epochs: int) -> None:
    loss = FeatureBalanced(TOY)
    loss.set_epoch(epochs - 1, epochs)
    assert loss.curriculum <= 1 / 0.95**2


def test_a_feature_of_zeros_does_no_harm() -> None:
    loss = FeatureBalanced(TOY)
    loss.set_epoch(9, 10)
    features = torch.zeros(4, 5, requires_grad=True)
    value = loss(Output(LOGITS, features), LABELS).mean()
    value.backward()
    assert value.isfinite()
    assert features.grad is not None
    assert features.grad.isfinite().all()


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop() -> None:
    output, labels = batch()
    loss = FeatureBalanced(torch.tensor(LONG_TAIL), strength=10)
    loss.set_epoch(60, 100)
    expected = []
    for row, feature, label in zip(output.logits.tolist(), output.features.tolist(), labels.tolist(), strict=True):
        length = math.sqrt(sum(value**2 for value in feature))
        terms = []
        for logit, count in zip(row, LONG_TAIL, strict=True):
            ratio = (math.log(500) - math.log(count)) / (math.log(500) - math.log(min(LONG_TAIL)))
            terms.append(math.exp(logit - (60 / 95) ** 2 * 10 * ratio / length))
        expected.append(-math.log(terms[label] / sum(terms)))
    assert loss(output, labels).tolist() == pytest.approx(expected, rel=1e-11)
