"""The softmax equalization loss, against the public code with its draws and as a slow loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import LONG_TAIL, TOY, Tolerance, agree, batch, cases, counts, toy

from ltr.losses import CrossEntropy, SoftmaxEqualization


@cases("seql")
def test_agrees_with_the_public_code(
    case: dict[str, Any], tolerance: Tolerance, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = case["params"]
    loss = SoftmaxEqualization(counts(case), gamma=params["gamma"], threshold=params["fraction_threshold"])
    assert loss.rare.tolist() == case["expected"]["rare_class"]
    monkeypatch.setattr(loss, "draw", lambda _: torch.tensor(case["random_mask"]).bool())
    agree(loss, case, tolerance)


@cases("seql", lambda case: case["params"]["gamma"] in (0, 1))
def test_the_ends_of_gamma_are_certain(case: dict[str, Any], tolerance: Tolerance) -> None:
    params = case["params"]
    agree(
        SoftmaxEqualization(counts(case), gamma=params["gamma"], threshold=params["fraction_threshold"]),
        case,
        tolerance,
    )


def test_toy() -> None:
    loss = SoftmaxEqualization(TOY, gamma=1, threshold=0.05)
    assert toy(loss).mean().item() == pytest.approx(1.135236, abs=1e-6)
    assert torch.equal(toy(SoftmaxEqualization(TOY, gamma=0, threshold=0.05)), toy(CrossEntropy(TOY)))


def test_rare_classes() -> None:
    tail = torch.tensor(LONG_TAIL)
    assert SoftmaxEqualization(tail).rare.sum() == 52


def test_draws_are_the_global_generator_s_and_as_frequent_as_said() -> None:
    loss, logits = SoftmaxEqualization(TOY), torch.zeros(20_000, 3)
    torch.manual_seed(1)
    first = loss.draw(logits)
    torch.manual_seed(1)
    assert torch.equal(first, loss.draw(logits))
    sigma = math.sqrt(0.9 * 0.1 / first.numel())
    assert abs(first.double().mean().item() - 0.9) < 4 * sigma


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    output, labels = batch()
    loss = SoftmaxEqualization(torch.tensor(LONG_TAIL), threshold=0.01)
    drawn = loss.draw(output.logits)
    monkeypatch.setattr(loss, "draw", lambda _: drawn)
    expected = []
    for row, draws, label in zip(output.logits.tolist(), drawn.tolist(), labels.tolist(), strict=True):
        total = 0.0
        for k, (logit, draw, count) in enumerate(zip(row, draws, LONG_TAIL, strict=True)):
            left_out = draw and count / sum(LONG_TAIL) < 0.01 and k != label
            total += 0 if left_out else math.exp(logit)
        expected.append(-math.log(math.exp(row[label]) / total))
    assert loss(output, labels).tolist() == pytest.approx(expected, rel=1e-12)
