"""LADE, against the official code and as a slow loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import LABELS, LOGITS, LONG_TAIL, TOY, Tolerance, agree, batch, cases, counts, toy

from ltr.losses import LADE, BalancedSoftmax


def build(case: dict[str, Any]) -> LADE:
    """Return the loss of a case."""
    params = case["params"]
    return LADE(counts(case), alpha=params["regulariser_weight"], remine=params["remine_lambda"])


@cases("lade")
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    guards = 1e-8  # the guards of the official code move the loss by up to 7e-9 of it
    agree(build(case), case, tolerance._replace(loss=max(tolerance.loss, guards)))


@pytest.mark.usefixtures("double")
@cases("lade")
def test_is_exact_without_the_guards(case: dict[str, Any]) -> None:
    agree(build(case), case, Tolerance(1e-12, 0), expected={"loss": case["check"]["formula_loss"]})


def test_toy() -> None:
    loss = LADE(TOY)
    assert toy(loss).mean().item() == pytest.approx(2.249637, abs=1e-6)
    assert loss.regulariser(LOGITS, LABELS).item() == pytest.approx(-0.773136, abs=1e-6)


def test_without_the_regulariser_it_is_balanced_softmax() -> None:
    assert torch.equal(toy(LADE(TOY, alpha=0)), toy(BalancedSoftmax(TOY)))


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop() -> None:
    output, labels = batch()
    rows, classes, size = output.logits.tolist(), 100, 20
    regulariser = 0.0
    for c, count in enumerate(LONG_TAIL):
        prior = count / sum(LONG_TAIL)
        own = [row[c] for row, label in zip(rows, labels.tolist(), strict=True) if label == c]
        joint = sum(own) / len(own) if own else 0.0
        marginal = math.log(sum(math.exp(row[c]) / prior / classes for row in rows) / size)
        regulariser -= prior * (joint - marginal - 0.05 * marginal**2)
    expected = BalancedSoftmax(torch.tensor(LONG_TAIL))(output, labels) + 0.3 * regulariser
    values = LADE(torch.tensor(LONG_TAIL), alpha=0.3, remine=0.05)(output, labels)
    assert values.tolist() == pytest.approx(expected.tolist(), rel=1e-11)
