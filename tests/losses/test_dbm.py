"""DBM, against the official code, as a slow loop, and at the ends of the circle where that code has no rule."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from official import LONG_TAIL, Tolerance, cases, counts
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.heads import Cosine
from ltr.losses import DBM, LDAM, BalancedSoftmax, CrossEntropy, Deferred, VectorScaling

LOSSES: dict[str, type[Loss]] = {"balanced_softmax": BalancedSoftmax, "cross_entropy": CrossEntropy}
COUNTS = torch.tensor([100, 10, 1])
RADIANS = {"unsorted_counts": 0.4}  # the official margins are relative to the last class, ours to the rarest


def build(case: dict[str, Any], margin: float | None = None) -> DBM:
    """Return the loss of a case."""
    params = case["params"]
    return DBM(
        counts(case),
        loss=LOSSES[params["base_loss"]],
        margin=margin or params["max_margin"],
        tau=params["tau"],
        instance=params["lambda_instance"],
    )


def turned(case: dict[str, Any]) -> Tensor:
    """Return (B,) whether the angle of the true class stays below pi with its margin, where the official code holds."""
    cosines = case["expected"].get("cosines") or case["logits"]
    pairs = zip(cosines, case["labels"], case["expected"]["sample_margins"], strict=True)
    return torch.tensor([math.acos(row[label]) + margin <= math.pi for row, label, margin in pairs])


def official_values(case: dict[str, Any]) -> Tensor:
    """Return (B,) the value of each sample, from the logits to which the official code has added the margin."""
    logits = torch.tensor(case["expected"]["adjusted_logits"])
    return LOSSES[case["params"]["base_loss"]](counts(case))(Output(logits), torch.tensor(case["labels"]))


@cases("dbm", lambda case: "weight" in case)
def test_agrees_with_the_official_code_through_the_head(case: dict[str, Any], tolerance: Tolerance) -> None:
    loss, expected = build(case, RADIANS.get(case["name"])), case["expected"]
    features = torch.tensor(case["features"], requires_grad=True)
    head = Cosine(features.shape[1], len(case["weight"]), scale=case["params"]["scale"])
    head.weight.data = torch.tensor(case["weight"])
    value = loss(head(features), torch.tensor(case["labels"])).mean()
    value.backward()
    torch.testing.assert_close(loss.margins, torch.tensor(expected["margins"]), rtol=1e-6, atol=0)
    torch.testing.assert_close(value, torch.tensor(expected["loss"]), rtol=tolerance.loss, atol=0)
    for parameter, name in ((features, "grad_features"), (head.weight, "grad_weight")):
        wanted = torch.tensor(expected[name])
        torch.testing.assert_close(parameter.grad, wanted, rtol=tolerance.gradient, atol=tolerance.gradient)


@cases("dbm", lambda case: case["params"].get("logits_are") == "cosines")
def test_agrees_with_the_official_code_on_cosines(case: dict[str, Any], tolerance: Tolerance) -> None:
    scale, labels, below = case["params"]["scale"], torch.tensor(case["labels"]), turned(case)
    cosines = torch.tensor(case["logits"], requires_grad=True)
    values = build(case)(Output(scale * cosines, scale=scale), labels)
    values.mean().backward()
    torch.testing.assert_close(values[below], official_values(case)[below], rtol=10 * tolerance.loss, atol=1e-8)
    if below.all():
        torch.testing.assert_close(values.mean(), torch.tensor(case["expected"]["loss"]), rtol=tolerance.loss, atol=0)
    wanted = torch.tensor(case["expected"]["grad_logits"])
    allowed = 10 * tolerance.gradient  # 1e-4 in float32, whose cosines are coarse near 1 and -1
    assert cosines.grad is not None
    torch.testing.assert_close(cosines.grad[below], wanted[below], rtol=allowed, atol=allowed)


@cases("dbm", lambda case: "paper_variant" in case)
def test_margins_are_relative_to_the_rarest_class(case: dict[str, Any], tolerance: Tolerance) -> None:
    loss, expected = build(case), case["paper_variant"]
    cosines = torch.tensor(case["expected"]["cosines"], requires_grad=True)
    scale = case["params"]["scale"]
    value = loss(Output(scale * cosines, scale=scale), torch.tensor(case["labels"])).mean()
    value.backward()
    torch.testing.assert_close(loss.margins, torch.tensor(expected["margins"]), rtol=1e-6, atol=0)
    rounded = max(tolerance.loss, 1e-7)  # the cosines of the case have nine digits
    torch.testing.assert_close(value, torch.tensor(expected["loss"]), rtol=rounded, atol=0)
    wanted = torch.tensor(expected["grad_cosines"])
    torch.testing.assert_close(cosines.grad, wanted, rtol=1e-5, atol=max(tolerance.gradient, 1e-6))


def drawn(size: int = 200, classes: int = 100) -> tuple[Tensor, Tensor]:
    """Draw cosines (B, C) and labels (B,)."""
    cosines = 2 * torch.rand(size, classes, generator=torch.Generator().manual_seed(0)) - 1
    return cosines, torch.arange(size) * 7 % classes


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("margin", "tau", "instance"), [(0.1, 1, 1), (0.4, 0.5, 0.5), (1.2, 0.0, 1.0), (0.3, 1.0, 0)])
def test_the_formula_as_a_loop(margin: float, tau: float, instance: float) -> None:
    cosines, labels = drawn()
    loss = DBM(torch.tensor(LONG_TAIL), margin=margin, tau=tau, instance=instance)
    found = loss(Output(30 * cosines, scale=30.0), labels)
    expected, beyond = [], 0
    for row, label in zip(cosines.tolist(), labels.tolist(), strict=True):
        size = margin * (min(LONG_TAIL) / LONG_TAIL[label]) ** tau
        if max(row) > row[label]:
            size *= 1 + instance * (1 - row[label]) / 2
        angle = math.acos(row[label])
        changed = list(row)
        changed[label] = math.cos(angle + size) if angle + size < math.pi else row[label] + math.cos(size) - 1
        beyond += angle + size > math.pi
        terms = [math.log(count) + 30 * cosine for count, cosine in zip(LONG_TAIL, changed, strict=True)]
        expected.append(math.log(sum(math.exp(term - terms[label]) for term in terms)))
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert (beyond > 20) == (margin > 1)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("margin", [0.0, 0.1, 0.5, 1.5, 3.0])
@pytest.mark.parametrize("wrong", [False, True])
def test_the_loss_never_falls_where_the_angle_grows(margin: float, wrong: bool) -> None:
    angles = torch.linspace(0, math.pi, 2001)
    other = torch.full_like(angles, 1.0 if wrong else -1.0)
    logits = 32 * torch.stack([angles.cos(), other], 1)
    values = DBM(torch.tensor([5, 5]), margin=margin)(Output(logits, scale=32.0), torch.zeros(2001, dtype=torch.int64))
    assert (values.diff() > -1e-12).all()
    assert values.diff().max() < 0.2, "without a jump"


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("label", [0, 1])
def test_parallel_features_have_a_gradient(sign: float, label: int) -> None:
    features = torch.tensor([[sign * 2.0, 0.0]], requires_grad=True)
    head = Cosine(2, 2, scale=32.0)
    with torch.no_grad():
        head.weight.copy_(torch.eye(2))
    DBM([10, 1])(head(features), torch.tensor([label])).sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


@pytest.mark.parametrize(
    "loss",
    [CrossEntropy, BalancedSoftmax, VectorScaling, LDAM, partial(Deferred, before=CrossEntropy)],
    ids=["ce", "bs", "vs", "ldam", "deferred"],
)
def test_without_a_margin_it_is_the_loss_that_it_wraps(loss: Any) -> None:
    cosines, labels = drawn(50, 3)
    output = Output(30 * cosines, scale=30.0)
    expected = loss(COUNTS)(output, labels)
    torch.testing.assert_close(DBM(COUNTS, loss=loss, margin=0)(output, labels), expected, rtol=1e-4, atol=1e-5)
    assert (DBM(COUNTS, loss=loss, margin=0.3)(output, labels) >= expected - 1e-5).all()


def test_only_a_wrong_sample_has_the_larger_margin() -> None:
    output, labels = Output(torch.tensor([[5.0, 0.0, 0.0], [5.0, 6.0, 0.0]]), scale=10.0), torch.tensor([0, 0])
    with_both = DBM(COUNTS, loss=CrossEntropy, tau=0)(output, labels)
    of_class = DBM(COUNTS, loss=CrossEntropy, tau=0, instance=0)(output, labels)
    assert with_both[0] == of_class[0]
    assert with_both[1] > of_class[1]
    larger = F.cross_entropy(torch.tensor([[10 * math.cos(math.pi / 3 + 0.125), 6.0, 0.0]]), torch.tensor([0]))
    torch.testing.assert_close(with_both[1], larger)
