"""Class weights, against the official code, torch's own weighted mean and a slow loop."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from official import LONG_TAIL, TOY, Tolerance, agree, batch, cases, counts, toy
from torch.nn import functional as F

from ltr.contracts import Loss
from ltr.counts import inverse_effective_number, inverse_frequency
from ltr.errors import InputError
from ltr.losses import GML, ClassBalanced, CostSensitive, CrossEntropy, Deferred
from ltr.losses.weighted import Weighted


def build(case: dict[str, Any]) -> Weighted:
    """Return the weighted cross-entropy of a case."""
    params = case["params"]
    if params["weighting"] == "class_balanced":
        return ClassBalanced(counts(case), beta=params["beta"])
    return CostSensitive(counts(case), power=params["gamma"])


@cases("cross_entropy_class_weights")
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    loss = build(case)
    agree(loss, case, tolerance)
    torch.testing.assert_close(loss.weights, torch.tensor(case["expected"]["class_weights"]), rtol=1e-6, atol=0)


def test_toy() -> None:
    assert toy(CostSensitive(TOY)).mean().item() == pytest.approx(2.309742, abs=1e-6)
    assert toy(ClassBalanced(TOY, beta=0.9)).mean().item() == pytest.approx(2.052673, abs=1e-6)


def test_golden_weights() -> None:
    weights = inverse_effective_number(torch.tensor(LONG_TAIL), 0.9999)
    assert weights[[0, -1]].tolist() == pytest.approx([0.0448757, 4.378313], rel=1e-6)
    assert inverse_effective_number(torch.tensor(LONG_TAIL), 0.9)[[0, -1]].tolist() == pytest.approx(
        [0.82019, 2.00287], rel=1e-5
    )
    assert (weights[-1] / weights[0]).item() == pytest.approx(97.6, abs=0.05)


def test_the_ends_of_beta() -> None:
    assert torch.equal(inverse_effective_number(TOY, 0), torch.ones(3))
    towards = inverse_effective_number(TOY, 1 - 1e-9)
    torch.testing.assert_close(towards / towards.max(), inverse_frequency(TOY), rtol=1e-5, atol=0)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("kind", [ClassBalanced, CostSensitive])
def test_the_mean_is_the_weighted_mean_of_torch(kind: type[Weighted]) -> None:
    output, labels = batch()
    loss = kind(torch.tensor(LONG_TAIL))  # type: ignore[call-arg]
    expected = F.cross_entropy(output.logits, labels, weight=loss.weights)
    torch.testing.assert_close(loss(output, labels).mean(), expected, rtol=1e-12, atol=0)


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop() -> None:
    output, labels = batch()
    plain = CrossEntropy(TOY)(output, labels).tolist()
    weights = [(1 - 0.99) / (1 - 0.99**count) for count in LONG_TAIL]
    weights = [weight * 100 / sum(weights) for weight in weights]
    mean = sum(weights[label] for label in labels.tolist()) / len(labels)
    expected = [weights[label] * value for label, value in zip(labels.tolist(), plain, strict=True)]
    loss = ClassBalanced(torch.tensor(LONG_TAIL), beta=0.99, weighted_mean=False)
    assert loss(output, labels).tolist() == pytest.approx(expected, rel=1e-12)
    loss = ClassBalanced(torch.tensor(LONG_TAIL), beta=0.99)
    assert loss(output, labels).tolist() == pytest.approx([value / mean for value in expected], rel=1e-12)


def test_only_the_weighted_mean_belongs_to_the_batch() -> None:
    assert ClassBalanced(TOY).batch_level
    assert not ClassBalanced(TOY, weighted_mean=False).batch_level
    assert ClassBalanced(TOY).mixable


@pytest.mark.parametrize("loss", [GML, ClassBalanced, Deferred])
def test_a_loss_of_the_whole_batch_is_refused(loss: type[Loss]) -> None:
    with pytest.raises(InputError, match="batch-level"):
        CostSensitive(TOY, loss=loss)


def test_a_class_without_images_is_named() -> None:
    for kind in (ClassBalanced, CostSensitive):
        with pytest.raises(InputError, match="class 1 has no training image"):
            kind(torch.tensor([5, 0, 3]))
