"""ArcFace, CosFace and SphereFace behind a cosine head, against the public code, an independent one and slow loops."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ltr.contracts import Head, Loss, Output
from ltr.errors import InputError
from ltr.heads import Cosine, Linear
from ltr.losses import LDAM, ArcFace, CosFace, CrossEntropy, SphereFace

REFERENCES = Path(__file__).parents[1] / "references"
COUNTS = torch.tensor([100, 10, 1])
FILES = {"am_softmax": CosFace, "arcface": ArcFace, "sphereface": SphereFace}
CASES = [
    pytest.param(kind, case, id=f"{name}/{case['name']}")
    for name, kind in FILES.items()
    for case in json.loads((REFERENCES / f"{name}.json").read_text())["cases"]
]
every_case = pytest.mark.parametrize(("kind", "case"), CASES)


def build(kind: type[Loss], params: dict[str, Any]) -> Loss:
    """Return the loss that a case describes."""
    if kind is SphereFace:
        loss = SphereFace(COUNTS, margin=params["margin"], iterations=2 * params["iteration_1based"])
        loss.set_epoch(1, 2)
        assert loss.annealing == pytest.approx(params["lambda"], rel=1e-12)
        return loss
    if kind is CosFace:
        return CosFace(COUNTS, margin=params["margin"])
    margin = params.get("margin_radians", math.radians(params.get("margin_degrees", 0)))
    return ArcFace(COUNTS, margin=margin, easy=params.get("easy_margin", False))


def measured(kind: type[Loss], case: dict[str, Any]) -> tuple[float, Tensor, Tensor]:
    """Return the mean loss of a case and its gradients by the features and by the weight of the head."""
    features = torch.tensor(case["features"], requires_grad=True)
    head = Cosine(features.shape[1], len(case["weight"]), scale=case["params"].get("scale"))
    with torch.no_grad():
        head.weight.copy_(torch.tensor(case["weight"]))
    value = build(kind, case["params"])(head(features), torch.tensor(case["labels"])).mean()
    return value.item(), *torch.autograd.grad(value, [features, head.weight])


def compare(kind: type[Loss], case: dict[str, Any], *, value: float, gradient: float) -> None:
    """Fail unless a case is met within a relative tolerance of its value and one of its gradients."""
    expected = case["expected"]
    found, *gradients = measured(kind, case)
    assert found == pytest.approx(expected["loss"], rel=value)
    for by, name in zip(gradients, ("grad_features", "grad_weight"), strict=True):
        torch.testing.assert_close(by, torch.tensor(expected[name]), rtol=gradient, atol=gradient)


@pytest.mark.usefixtures("double")
@every_case
def test_agrees_with_the_public_code_in_float64(kind: type[Loss], case: dict[str, Any]) -> None:
    compare(kind, case, value=1e-9, gradient=2e-8)


@every_case
def test_agrees_with_the_public_code_in_float32(kind: type[Loss], case: dict[str, Any]) -> None:
    compare(kind, case, value=1e-5, gradient=2e-5)


def additive(cosine: float) -> float:
    return cosine - 0.35


def angular(cosine: float) -> float:
    angle = math.acos(cosine)
    return math.cos(angle + 0.5) if angle + 0.5 < math.pi else cosine - 0.5 * math.sin(0.5)


def easily_angular(cosine: float) -> float:
    return angular(cosine) if cosine > 0 else cosine


def multiplied(margin: int, annealing: float) -> Callable[[float], float]:
    def logit(cosine: float) -> float:
        angle = math.acos(cosine)
        segment = int(margin * angle / math.pi)
        psi = (-1) ** segment * math.cos(margin * angle) - 2 * segment
        return (annealing * cosine + psi) / (1 + annealing)

    return logit


WAYS: list[tuple[Loss, Callable[[float], float]]] = [
    (CosFace(COUNTS), additive),
    (ArcFace(COUNTS), angular),
    (ArcFace(COUNTS, easy=True), easily_angular),
    (SphereFace(COUNTS, iterations=0), multiplied(4, 1000)),
    *((SphereFace(COUNTS, margin=margin), multiplied(margin, 1000)) for margin in (1, 2, 3, 5)),
]


def scale_of(loss: Loss) -> Any:
    """Return the scale of the logits that a loss takes."""
    return "norm" if "norm" in loss.needs else 30.0


def test_ldam_takes_other_logits_with_a_scale() -> None:
    logits, labels = torch.randn(5, 3), torch.arange(5) % 3
    expected = LDAM(COUNTS)(Output(logits, scale=2.0), labels)
    assert torch.equal(LDAM(COUNTS, scale=2.0)(logits, labels), expected)


@pytest.mark.parametrize("kind", [ArcFace, CosFace, LDAM, SphereFace])
def test_logits_that_are_no_such_cosines_are_refused(kind: type[Loss]) -> None:
    features, labels = torch.ones(2, 5), torch.tensor([0, 1])
    wrong: list[Head] = [Linear(5, 6), Cosine(5, 6, scale=30.0 if kind is SphereFace else None)]
    for head in wrong:
        with pytest.raises(InputError, match=rf"{kind.__name__} needs .*--model\.head Cosine"):
            kind(COUNTS)(head(features), labels)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("loss", "logit"), WAYS)
def test_the_formula_as_a_loop(loss: Loss, logit: Callable[[float], float]) -> None:
    cosines = 2 * torch.rand(200, 6, generator=torch.Generator().manual_seed(0)) - 1
    labels = torch.arange(200) % 6
    features = torch.full((200, 1), 30.0)  # as long as the other losses scale
    expected = []
    for row, label in zip(cosines.tolist(), labels.tolist(), strict=True):
        logits = [30 * (logit(cosine) if c == label else cosine) for c, cosine in enumerate(row)]
        expected.append(math.log(sum(math.exp(other - logits[label]) for other in logits)))
    found = loss(Output(30 * cosines, features, scale=scale_of(loss)), labels)
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("loss", [CosFace(COUNTS, margin=0), ArcFace(COUNTS, margin=0), SphereFace(COUNTS, margin=1)])
def test_without_a_margin_it_is_cross_entropy(loss: Loss) -> None:
    output = Output(30 * (2 * torch.rand(50, 6) - 1), torch.full((50, 1), 30.0), scale=scale_of(loss))
    labels = torch.arange(50) % 6
    torch.testing.assert_close(loss(output, labels), CrossEntropy(COUNTS)(output, labels), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("kind", [ArcFace, CosFace, SphereFace])
def test_the_loss_never_falls_where_the_angle_grows(kind: type[Loss]) -> None:
    loss = kind(COUNTS)
    loss.set_epoch(99, 100)
    angles = torch.linspace(0, math.pi, 1001)
    logits = 30 * torch.stack([angles.cos(), torch.zeros(1001)], 1)
    output = Output(logits, torch.full((1001, 1), 30.0), scale=scale_of(loss))
    values = loss(output, torch.zeros(1001, dtype=torch.int64))
    assert (values.diff() > -1e-12).all()


@pytest.mark.parametrize("kind", [ArcFace, CosFace, SphereFace])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_parallel_features_have_a_gradient(kind: type[Loss], sign: float) -> None:
    features = torch.tensor([[sign * 2.0, 0.0]], requires_grad=True)
    head = Cosine(2, 2, scale=None if kind is SphereFace else 30.0)
    with torch.no_grad():
        head.weight.copy_(torch.eye(2))
    kind(COUNTS)(head(features), torch.tensor([0])).sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_the_annealing_follows_the_fraction_of_the_run() -> None:
    loss = SphereFace(COUNTS, iterations=1000)
    found = []
    for epoch in (0, 1, 5, 199):
        loss.set_epoch(epoch, 200)
        found.append(loss.annealing)
    assert found == pytest.approx([1000, 1000 / 1.6, 1000 / 4, 1000 / (1 + 0.12 * 995)])
    loss.set_epoch(2, 4)
    half = loss.annealing
    loss.set_epoch(100, 200)
    assert loss.annealing == half
