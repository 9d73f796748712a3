"""GML, against the public implementation, by hand and as a slow loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import LABELS, LOGITS, LONG_TAIL, TOY, Tolerance, agree, cases, counts, read
from torch import Tensor

from ltr.contracts import Output
from ltr.counts import per_class
from ltr.losses import GML, BalancedSoftmax


@cases("gml")
def test_agrees_with_the_public_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    agree(GML(counts(case), clamp=case["params"]["clamp_min"]), case, tolerance)


@pytest.mark.usefixtures("double")
@cases("gml")
def test_is_exact_without_the_clamp(case: dict[str, Any]) -> None:
    gradient = {"grad_logits": case["expected"]["grad_logits"]}  # the same one where nothing was clamped
    agree(GML(counts(case)), case, Tolerance(1e-9, 1e-8), expected=gradient | case["without_clamp"])


@pytest.mark.usefixtures("double")
def test_the_clamp_silences_the_hardest_samples_and_the_exact_loss_does_not() -> None:
    case = next(case for case in read("gml") if case["expected"]["samples_clamped"])

    def heard(clamp: float | None) -> Tensor:
        logits = torch.tensor(case["logits"], requires_grad=True)
        GML(counts(case), clamp=clamp)(Output(logits, logits), torch.tensor(case["labels"])).mean().backward()
        assert logits.grad is not None
        return logits.grad.abs().sum(1) > 0

    assert (~heard(1e-5)).sum() == case["expected"]["samples_clamped"]
    assert heard(None).all()


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
def test_the_order_is_that_of_a_power_mean(power: float) -> None:
    assert GML(TOY, power=2)(Output(LOGITS, LOGITS), LABELS)[0].item() == pytest.approx(3.889914, abs=1e-6)
    terms = [-math.log(mean) for mean in (0.945134, 0.035276, 0.002884)]
    expected = (sum(term**power for term in terms) / 3) ** (1 / power)
    assert GML(TOY, power=power)(Output(LOGITS, LOGITS), LABELS)[0].item() == pytest.approx(expected, rel=1e-4)
    sure = (torch.eye(3) * 1e4).requires_grad_()
    GML(TOY, power=power)(Output(sure, sure), torch.arange(3)).mean().backward()
    assert sure.grad is not None
    assert sure.grad.isfinite().all()


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
    logits = 3 * torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(40, (64,), generator=torch.Generator().manual_seed(1))
    of_class: dict[int, list[float]] = {}
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        weighted = [count * math.exp(logit) for count, logit in zip(LONG_TAIL, row, strict=True)]
        of_class.setdefault(label, []).append(weighted[label] / sum(weighted))
    means = [sum(values) / len(values) for values in of_class.values()]
    expected = -sum(math.log(mean) for mean in means) / len(means)
    values = GML(torch.tensor(LONG_TAIL))(Output(logits, logits), labels)
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
