"""LDAM and deferred re-weighting, against the official code and as a slow loop."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from official import LABELS, LOGITS, LONG_TAIL, TOY, Tolerance, agree, batch, cases, counts

from ltr.contracts import Output
from ltr.heads import Cosine
from ltr.losses import GML, LDAM, BalancedSoftmax, ClassBalanced, CrossEntropy, Deferred


def build(case: dict[str, Any]) -> Deferred:
    """Return LDAM-DRW at the epoch of a case."""
    params = case["params"]
    margin = partial(LDAM, margin=params["max_margin"])
    loss = Deferred(counts(case), before=margin, after=partial(ClassBalanced, loss=margin, beta=params["drw_beta"]))
    loss.set_epoch(params["epoch_0based"], 200)
    return loss


@cases("ldam", lambda case: "logits" in case)
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    loss = build(case)
    agree(loss, case, tolerance, scale=case["params"]["scale"])
    margins = torch.tensor(case["expected"]["margins"])
    torch.testing.assert_close(loss.parts[0].margins, margins, rtol=1e-6, atol=0)


@cases("ldam", lambda case: "weight" in case)
def test_agrees_with_the_official_code_through_the_head(case: dict[str, Any], tolerance: Tolerance) -> None:
    head = Cosine(8, 6, scale=case["params"]["scale"])
    head.weight.data = torch.tensor(case["weight"]).T.contiguous()
    features = torch.tensor(case["features"], requires_grad=True)
    value = build(case)(head(features), torch.tensor(case["labels"])).mean()
    value.backward()
    expected = case["expected"]
    assert head.weight.grad is not None
    torch.testing.assert_close(value, torch.tensor(expected["loss"]), rtol=tolerance.loss, atol=0)
    for gradient, wanted in ((features.grad, "grad_features"), (head.weight.grad.T, "grad_weight")):
        torch.testing.assert_close(
            gradient, torch.tensor(expected[wanted]), rtol=tolerance.gradient, atol=tolerance.gradient
        )


def test_toy() -> None:
    loss = LDAM(TOY)
    assert loss.margins.tolist() == pytest.approx([0.158114, 0.281171, 0.5], abs=5.1e-7)
    value = loss(Output(15 * LOGITS, LOGITS, scale=30.0), LABELS).mean()
    assert value.item() == pytest.approx(18.297077, abs=1e-5)
    assert loss(Output(LOGITS / 2, LOGITS, scale=1.0), LABELS).mean().item() == pytest.approx(1.335604, abs=1e-6)


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop() -> None:
    output, labels = batch()
    expected = []
    for row, label in zip(output.logits.tolist(), labels.tolist(), strict=True):
        lowered = list(row)
        lowered[label] -= 7 * 0.3 * (5 / LONG_TAIL[label]) ** 0.25
        expected.append(-math.log(math.exp(lowered[label]) / sum(map(math.exp, lowered))))
    values = LDAM(torch.tensor([max(count, 5) for count in LONG_TAIL]), margin=0.3)(output._replace(scale=7.0), labels)
    assert values.tolist() == pytest.approx(expected, rel=1e-12)


def test_equal_counts_have_the_whole_margin_and_no_margin_is_cross_entropy() -> None:
    assert LDAM(torch.tensor([7, 7])).margins.tolist() == [0.5, 0.5]
    output = Output(LOGITS, LOGITS, scale=30.0)
    assert torch.equal(LDAM(TOY, margin=0)(output, LABELS), CrossEntropy(TOY)(output, LABELS))


@pytest.mark.parametrize(("epochs", "fired"), [(1, 0), (2, 1), (4, 1), (5, 1), (30, 6), (200, 40), (400, 80)])
def test_the_switch_fires(epochs: int, fired: int) -> None:
    loss = Deferred(TOY)
    assert bool(loss.notes(epochs)) == (epochs < 5)
    started = []
    for epoch in range(epochs):
        loss.set_epoch(epoch, epochs)
        started.append(loss.started)
    assert started == [False] * (epochs - fired) + [True] * fired


def test_a_run_that_is_too_short_for_the_switch_is_noted() -> None:
    late = "the switch of the loss at 0.8 of the run takes place in the last of 2 epochs"
    assert Deferred(TOY).notes(2) == [late]
    assert Deferred(TOY).notes(1) == ["the switch of the loss at 0.8 of the run does not take place in a single epoch"]
    assert Deferred(TOY, before=Deferred, after=Deferred, start=0.4).notes(2) == [late, late]


def test_it_is_what_its_parts_are() -> None:
    plain = Deferred(TOY, after=BalancedSoftmax)
    assert (plain.batch_level, plain.mixable) == (False, True)
    tuned = Deferred(TOY, after=GML)
    assert (tuned.batch_level, tuned.mixable) == (True, False)
