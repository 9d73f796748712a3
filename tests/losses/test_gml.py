"""GML, against the public implementation, by hand and as a slow loop."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ltr.contracts import Output
from ltr.counts import per_class
from ltr.losses import GML, BalancedSoftmax

CASES = json.loads((Path(__file__).parents[1] / "references" / "gml.json").read_text())["cases"]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
TOY = torch.tensor([100, 10, 1])
LOGITS = torch.tensor([[2.0, 0, -1], [0.5, 0.5, 0], [1, 0, 0.5], [0, 1, -1]])
LABELS = torch.tensor([0, 0, 1, 2])


def measured(case: dict[str, Any], clamp: float | None) -> tuple[float, Tensor]:
    """Return the loss of a case and its gradient."""
    logits = torch.tensor(case["logits"], requires_grad=True)
    loss = GML(torch.tensor(case["counts"]), clamp=clamp)
    value = loss(Output(logits, logits), torch.tensor(case["labels"])).mean()
    (gradient,) = torch.autograd.grad(value, logits)
    return value.item(), gradient


@pytest.mark.usefixtures("double")
@every_case
def test_agrees_with_the_public_code_in_float64(case: dict[str, Any]) -> None:
    value, gradient = measured(case, case["params"]["clamp_min"])
    assert value == pytest.approx(case["expected"]["loss"], rel=1e-9)
    torch.testing.assert_close(gradient, torch.tensor(case["expected"]["grad_logits"]), rtol=0, atol=1e-8)


@every_case
def test_agrees_with_the_public_code_in_float32(case: dict[str, Any]) -> None:
    value, gradient = measured(case, case["params"]["clamp_min"])
    assert value == pytest.approx(case["expected"]["loss"], rel=1e-5)
    torch.testing.assert_close(gradient, torch.tensor(case["expected"]["grad_logits"]), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("double")
@every_case
def test_is_exact_without_the_clamp(case: dict[str, Any]) -> None:
    value, gradient = measured(case, None)
    assert value == pytest.approx(case["without_clamp"]["loss"], rel=1e-9)
    expected = case["without_clamp"].get("grad_logits", case["expected"]["grad_logits"])
    torch.testing.assert_close(gradient, torch.tensor(expected), rtol=0, atol=1e-8)


@pytest.mark.usefixtures("double")
def test_the_clamp_silences_the_hardest_samples_and_the_exact_loss_does_not() -> None:
    case = next(case for case in CASES if case["expected"]["samples_clamped"])
    silent = (measured(case, 1e-5)[1].abs().sum(1) == 0).sum().item()
    assert silent == case["expected"]["samples_clamped"]
    assert (measured(case, None)[1].abs().sum(1) > 0).all()


def test_toy() -> None:
    logits = LOGITS.clone().requires_grad_()
    value = GML(TOY)(Output(logits, logits), LABELS).mean()
    value.backward()
    assert value.item() == pytest.approx(3.083163, abs=1e-6)
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([-0.002406, 0.002321, 0.000085], abs=5.5e-7)
    assert logits.grad[2].tolist() == pytest.approx([0.319636, -0.321575, 0.001939], abs=5.5e-7)


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop() -> None:
    counts = [int(500 * 0.01 ** (label / 99)) for label in range(100)]
    logits = 3 * torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(40, (64,), generator=torch.Generator().manual_seed(1))
    of_class: dict[int, list[float]] = {}
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        weighted = [count * math.exp(logit) for count, logit in zip(counts, row, strict=True)]
        of_class.setdefault(label, []).append(weighted[label] / sum(weighted))
    means = [sum(values) / len(values) for values in of_class.values()]
    expected = -sum(math.log(mean) for mean in means) / len(means)
    values = GML(torch.tensor(counts))(Output(logits, logits), labels)
    assert values.tolist() == pytest.approx([expected] * 64, rel=1e-12)


@pytest.mark.usefixtures("double")
def test_the_gradient_is_that_of_finite_differences() -> None:
    loss, labels = GML(torch.tensor([50, 7, 2, 1])), torch.tensor([0, 0, 1, 2, 2, 2])
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(Output(z, z), labels).mean(), (logits,))


@pytest.mark.usefixtures("double")
def test_no_more_than_the_class_balanced_mean_of_balanced_softmax() -> None:
    counts, labels = torch.tensor([50, 7, 2, 1]), torch.tensor([0, 0, 0, 1, 1, 2, 3, 3])
    logits = 3 * torch.randn(8, 4, generator=torch.Generator().manual_seed(4))
    output = Output(logits, logits)
    per_sample = BalancedSoftmax(counts)(output, labels)
    bound = (torch.zeros(4).index_add(0, labels, per_sample) / per_class(labels, 4)).mean()
    value = GML(counts)(output, labels)[0]
    assert value < bound - 1e-3, "the logarithm of a mean exceeds the mean of the logarithms"
    single = Output(logits[:4], logits[:4])
    one_each = torch.tensor([2, 0, 3, 1])
    assert GML(counts)(single, one_each)[0].item() == pytest.approx(
        BalancedSoftmax(counts)(single, one_each).mean().item()
    )


def test_a_hopeless_sample_keeps_its_gradient() -> None:
    logits = torch.tensor([[200.0, 0, 0], [200.0, 0, 0]], requires_grad=True)
    value = GML(TOY)(Output(logits, logits), torch.tensor([1, 2])).mean()
    value.backward()
    assert value.item() > 200
    assert logits.grad is not None
    assert logits.grad[0, 1].item() == pytest.approx(-0.5), "each of two classes pulls with its whole share"
