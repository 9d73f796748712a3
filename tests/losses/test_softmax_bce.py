"""Binary cross-entropy on a softmax, against torch's own, a slow loop and exact arithmetic."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import pytest
import torch
from official import LONG_TAIL, TOY, batch, toy
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Output
from ltr.losses import ClassBalanced, SoftmaxBCE


def values(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the values of the loss."""
    found: Tensor = SoftmaxBCE(torch.ones(logits.shape[1]))(Output(logits, logits), labels)
    return found


def by_torch(logits: Tensor, labels: Tensor, **options: Tensor) -> Tensor:
    """Return the loss as the official code composes it of torch's functions, which needs probabilities."""
    target = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return F.binary_cross_entropy(logits.softmax(1), target, **options)


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop() -> None:
    output, labels = batch()
    expected = []
    for row, label in zip(output.logits.tolist(), labels.tolist(), strict=True):
        total = sum(map(math.exp, row))
        terms = []
        for index, logit in enumerate(row):
            p = math.exp(logit) / total
            terms.append(-math.log(p) if index == label else -math.log(1 - p))
        expected.append(sum(terms) / len(terms))
    assert SoftmaxBCE(TOY)(output, labels).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("double")
def test_values_and_gradients_are_those_of_torch() -> None:
    output, labels = batch()
    logits = output.logits.requires_grad_()
    found, expected = values(logits, labels).mean(), by_torch(logits, labels)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    (here,), (there,) = torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits)
    torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-15)


@pytest.mark.usefixtures("double")
def test_class_balanced_it_is_the_loss_of_weight_balancing() -> None:
    """As utils/class_balanced_loss.py weights it: every class of a sample by the weight of the label, plain mean."""
    output, labels = batch()
    loss = ClassBalanced(torch.tensor(LONG_TAIL), loss=SoftmaxBCE, weighted_mean=False)
    weights = [(1 - 0.9999) / (1 - 0.9999**count) for count in LONG_TAIL]
    scaled = torch.tensor([weight / sum(weights) * 100 for weight in weights])[labels]
    expected = by_torch(output.logits, labels, weight=scaled[:, None].expand(-1, 100))
    assert loss(output, labels).mean().item() == pytest.approx(expected.item(), rel=1e-12)


def exact(row: list[float], label: int) -> float:
    """Return the value of a sample in decimals of 60 digits and any exponent."""
    with localcontext() as context:
        context.prec = 60
        powers = [Decimal(logit).exp() for logit in row]
        total = sum(powers)
        terms = [
            power if index == label else sum(powers[:index] + powers[index + 1 :]) for index, power in enumerate(powers)
        ]
        return float(-sum((term / total).ln() for term in terms) / len(row))


@pytest.mark.parametrize(
    "row",
    [
        [1e4, -1e4, 3.0],
        [1e4, 1e4, -1e4],
        [20.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        [1e-3, 0.0, -1e-3],
        [90.0, 0.0, -90.0],
        [5.0, 5.0, -40.0],
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_certain_answers_are_exact(row: list[float], dtype: torch.dtype) -> None:
    logits = torch.tensor([row] * 3).to(dtype)
    found = values(logits, torch.arange(3))
    expected = [exact(logits[0].tolist(), label) for label in range(3)]
    assert found.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_gradients_of_certain_answers_are_numbers() -> None:
    logits = torch.tensor([[1e4, -1e4, 3.0], [1e4, 1e4, -1e4], [0.0, 0.0, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(values(logits, torch.tensor([1, 2, 0])).sum(), logits)
    # -log p_1 and -log(1 - p_0) both grow with the distance of the likeliest class from the others.
    torch.testing.assert_close(gradient[0], torch.tensor([2.0, -1.0, -1.0]) / 3)
    assert gradient.isfinite().all()
    torch.testing.assert_close(gradient.sum(1), torch.zeros(3), atol=1e-6, rtol=0)


@pytest.mark.usefixtures("double")
def test_two_classes_give_cross_entropy() -> None:
    logits = torch.tensor([[0.3, -1.2], [4.0, 4.0], [-9.0, 8.0]])
    labels = torch.tensor([0, 1, 0])
    torch.testing.assert_close(values(logits, labels), F.cross_entropy(logits, labels, reduction="none"))


def test_toy() -> None:
    p = torch.tensor([[2.0, 0, -1], [0.5, 0.5, 0], [1, 0, 0.5], [0, 1, -1]], dtype=torch.float64).softmax(1)
    target = F.one_hot(torch.tensor([0, 0, 1, 2]), 3).double()
    expected = F.binary_cross_entropy(p, target, reduction="none").mean(1)
    torch.testing.assert_close(toy(SoftmaxBCE(TOY)).double(), expected, rtol=1e-6, atol=0)
