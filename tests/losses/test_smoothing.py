"""Smoothed labels: even, label-aware and over-smoothed, against the official code and as slow loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import LABELS, LOGITS, LONG_TAIL, TOY, Tolerance, agree, batch, cases, counts, toy
from torch.nn import functional as F

from ltr.contracts import Output
from ltr.losses import LOS, CrossEntropy, LabelAwareSmoothing, LabelSmoothing


def build(case: dict[str, Any], *, others: bool = False) -> LabelAwareSmoothing:
    """Return the label-aware smoothing of a case."""
    params = case["params"]
    power = params["power"] or 2.0
    return LabelAwareSmoothing(
        counts(case), head=params["smooth_head"], tail=params["smooth_tail"], shape=params["shape"], power=power,
        others=others,
    )  # fmt: skip


@cases("label_aware_smoothing")
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    loss = build(case)
    agree(loss, case, tolerance)
    assert loss.smoothing.tolist() == pytest.approx(case["expected"]["smoothing"], rel=1e-6)


@cases("label_aware_smoothing")
def test_agrees_with_the_paper_where_asked(case: dict[str, Any], tolerance: Tolerance) -> None:
    agree(build(case, others=True), case, tolerance, expected=case["paper_variant"])


@pytest.mark.usefixtures("double")
@cases("label_aware_smoothing")
def test_even_smoothing_is_that_of_the_official_code_class_by_class(case: dict[str, Any]) -> None:
    """Each sample with the epsilon that the official code gives to its class."""
    logits, labels = torch.tensor(case["logits"]), torch.tensor(case["labels"])
    smoothing = build(case).smoothing[labels].tolist()
    values = [
        LabelSmoothing(counts(case), epsilon=epsilon)(Output(logits[i : i + 1], logits), labels[i : i + 1])
        for i, epsilon in enumerate(smoothing)
    ]
    assert torch.cat(values).mean().item() == pytest.approx(case["expected"]["loss"], rel=1e-9)


def test_toy() -> None:
    assert toy(LabelSmoothing(TOY)).mean().item() == pytest.approx(1.312269, abs=1e-6)
    loss = LabelAwareSmoothing(TOY)
    assert loss.smoothing.tolist() == pytest.approx([0.4, 0.142694, 0.1], abs=5.1e-7)
    assert toy(loss).mean().item() == pytest.approx(1.444432, abs=1e-6)


def test_golden_smoothing() -> None:
    smoothing = LabelAwareSmoothing(torch.tensor(LONG_TAIL)).smoothing
    assert smoothing[[0, 50, 99]].tolist() == pytest.approx([0.4, 0.140809, 0.1], abs=5.1e-7)


@pytest.mark.parametrize("shape", ["concave", "linear", "convex", "exp"])
def test_equal_counts_or_equal_ends_are_even_smoothing(shape: Any) -> None:
    even = toy(LabelSmoothing(TOY, epsilon=0.4))
    torch.testing.assert_close(toy(LabelAwareSmoothing(torch.tensor([7, 7, 7]), shape=shape)), even)
    torch.testing.assert_close(toy(LabelAwareSmoothing(TOY, tail=0.4, shape=shape)), even)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("others", [False, True])
def test_the_formula_as_a_loop(others: bool) -> None:
    output, labels = batch()
    expected = []
    for row, label in zip(output.logits.tolist(), labels.tolist(), strict=True):
        ratio = (LONG_TAIL[label] - 5) / (500 - 5)
        epsilon = 0.1 + 0.3 * math.sin(math.pi * ratio / 2)
        share = [epsilon / 99 if others else epsilon / 100] * 100
        share[label] = 1 - epsilon if others else 1 - epsilon + epsilon / 100
        total = sum(map(math.exp, row))
        expected.append(-sum(part * math.log(math.exp(logit) / total) for part, logit in zip(share, row, strict=True)))
    values = LabelAwareSmoothing(torch.tensor([max(count, 5) for count in LONG_TAIL]), others=others)(output, labels)
    assert values.tolist() == pytest.approx(expected, rel=1e-11)


@pytest.mark.usefixtures("double")
def test_over_smoothing_is_the_criterion_of_the_official_code() -> None:
    """As main_stage2.py of bilibili/LOS builds it, and with the labels that the paper describes."""
    output, labels = batch()
    expected = torch.nn.CrossEntropyLoss(label_smoothing=0.98)(output.logits, labels)
    assert LOS(TOY)(output, labels).mean().item() == pytest.approx(expected.item(), rel=1e-12)
    logits = output.logits.requires_grad_()
    (gradient,) = torch.autograd.grad(LOS(TOY)(output, labels).sum(), logits)
    target = logits.softmax(1) - gradient
    true = F.one_hot(labels, 100).bool()
    torch.testing.assert_close(target[true], torch.full((20,), 0.02 + 0.98 / 100))
    torch.testing.assert_close(target[~true], torch.full((20 * 99,), 0.98 / 100))


def test_without_epsilon_it_is_cross_entropy() -> None:
    torch.testing.assert_close(toy(LabelSmoothing(TOY, epsilon=0)), CrossEntropy(TOY)(Output(LOGITS, LOGITS), LABELS))
