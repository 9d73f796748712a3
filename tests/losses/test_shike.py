"""SHIKE, against the official code in both stages and as a slow loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import TOY, Tolerance, cases, counts
from torch import Tensor

from ltr.contracts import Loss, Output
from ltr.errors import InputError
from ltr.losses import SHIKE, BalancedSoftmax, CrossEntropy, PerExpert

LABELS = torch.tensor([0, 2, 1, 2])


def experts(number: int, *, scale: float = 4.0) -> Tensor:
    """Return logits (E, 4, 3) of some experts."""
    return scale * torch.randn(number, 4, 3, generator=torch.Generator().manual_seed(number))


def output(logits: Tensor, scale: float = 30.0) -> Output:
    """Return what a head of experts says."""
    mean = logits.mean(0)
    return Output(mean, mean, experts=logits, scale=scale)


def build(case: dict[str, Any]) -> Loss:
    """Return the loss of a case in its stage."""
    params = case["params"]
    if params["stage"] == 2:
        return PerExpert(counts(case), losses=[BalancedSoftmax])
    return SHIKE(counts(case), hardest=params["hardest_negative_weight"], mutual=params["mutual_weight"])


@cases("shike", lambda case: "logits" in case)
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    logits, expected = torch.tensor(case["logits"], requires_grad=True), case["expected"]
    value = build(case)(output(logits, case["params"]["cosine_scale"]), torch.tensor(case["labels"])).mean()
    value.backward()
    torch.testing.assert_close(value, torch.tensor(expected["loss"]), rtol=tolerance.loss, atol=0)
    wanted = torch.tensor(expected["grad_logits"])
    torch.testing.assert_close(logits.grad, wanted, rtol=tolerance.gradient, atol=tolerance.gradient)


@cases("shike", lambda case: case["params"].get("stage") == 1)
def test_its_parts(case: dict[str, Any], tolerance: Tolerance) -> None:
    logits, labels, parts = torch.tensor(case["logits"]), torch.tensor(case["labels"]), case["parts"]
    for weights, name in (({"hardest": 1, "mutual": 0}, "hardest_negative"), ({"hardest": 0, "mutual": 1}, "mutual")):
        plain = PerExpert(counts(case))(output(logits), labels)
        found = (SHIKE(counts(case), **weights)(output(logits), labels) - plain).mean().item()
        assert found == pytest.approx(sum(parts[name]), rel=1e-5, abs=1e-4 if tolerance.loss > 1e-8 else 1e-8)


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop() -> None:
    logits = experts(3)
    found = SHIKE(TOY, hardest=3, mutual=0.5)(output(logits, 20.0), LABELS).tolist()

    def softmax(row: list[float]) -> list[float]:
        exponentials = [math.exp(value) for value in row]
        return [value / sum(exponentials) for value in exponentials]

    def divergence(teacher: list[float], student: list[float]) -> float:
        return sum(p * math.log(p / q) for p, q in zip(teacher, student, strict=True)) / 3

    for number, label in enumerate(LABELS.tolist()):
        rows = logits[:, number].tolist()
        means = [sum(column) / 3 for column in zip(*rows, strict=True)]
        hardest = max((c for c in range(3) if c != label), key=means.__getitem__)
        wrong = [0.0 if c == label else means[c] if c == hardest else max(row[c] for row in rows) for c in range(3)]
        expected = 0.0
        for row in rows:
            expected -= math.log(softmax(row)[label])
            without = [-20.0 if c == label else value for c, value in enumerate(row)]
            expected += 3 * divergence(softmax(wrong), softmax(without))
            expected += 0.5 * sum(divergence(softmax(other), softmax(row)) for other in rows if other is not row)
        assert found[number] == pytest.approx(expected, rel=1e-10)


def test_without_distillation_every_expert_has_its_own_loss() -> None:
    logits = experts(3)
    for loss in (CrossEntropy, BalancedSoftmax):
        values = SHIKE(TOY, loss=loss, hardest=0, mutual=0)(output(logits), LABELS)
        torch.testing.assert_close(values, PerExpert(TOY, losses=[loss])(output(logits), LABELS))


def test_experts_that_agree_learn_nothing_from_each_other() -> None:
    logits = experts(1).expand(4, -1, -1)
    assert SHIKE.from_each_other(logits).abs().max() < 1e-5
    assert (SHIKE.from_each_other(experts(2)) > 0).all()


def test_other_heads_are_refused() -> None:
    with pytest.raises(InputError, match=r"SHIKE needs several experts: pass .*ExpertHeads"):
        SHIKE(TOY)(Output(torch.zeros(4, 3), torch.zeros(4, 3), scale=30.0), LABELS)
    with pytest.raises(InputError, match="SHIKE needs scaled cosines"):
        SHIKE(TOY)(Output(torch.zeros(4, 3), torch.zeros(4, 3), experts=experts(2)), LABELS)
