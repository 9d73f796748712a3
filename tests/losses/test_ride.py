"""RIDE, against the official code and as a slow loop, and the switch of its two phases."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import TOY, Tolerance, cases, counts
from torch import Tensor

from ltr.contracts import Output
from ltr.counts import inverse_effective_number
from ltr.errors import InputError
from ltr.losses import LDAM, RIDE, CrossEntropy, PerExpert

LABELS = torch.tensor([0, 2, 1, 2])


def experts(number: int, *, scale: float = 4.0) -> Tensor:
    """Return logits (E, 4, 3) of some experts."""
    return scale * torch.randn(number, 4, 3, generator=torch.Generator().manual_seed(number))


def output(logits: Tensor, scale: float = 30.0) -> Output:
    """Return what a head of experts says."""
    mean = logits.mean(0)
    return Output(mean, mean, experts=logits, scale=scale)


def build(case: dict[str, Any]) -> RIDE:
    """Return the loss of a case at its epoch."""
    params = case["params"]
    loss = RIDE(
        counts(case),
        diversity=params["diversity_factor"],
        beta=params["beta"],
        spread=params["reweight_factor"],
        temperature=params["base_diversity_temperature"],
        start=params["reweight_epoch"] / 200,
    )
    loss.set_epoch(params["epoch_1based"] - 1, 200)
    return loss


@cases("ride")
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    leaf = torch.tensor(case["logits"], requires_grad=True)
    # With lambda 0 the official code gives every expert the logits of the mean; that is another method than `RIDE`'s.
    logits = leaf if case["params"]["diversity_factor"] else leaf.mean(0).expand_as(leaf)
    expected = case["expected"]
    value = build(case)(output(logits, case["params"]["scale"]), torch.tensor(case["labels"])).mean()
    value.backward()
    torch.testing.assert_close(value, torch.tensor(expected["loss"]), rtol=tolerance.loss, atol=0)
    wanted = torch.tensor(expected["grad_logits"])
    torch.testing.assert_close(leaf.grad, wanted, rtol=tolerance.gradient, atol=tolerance.gradient)


@cases("ride", lambda case: case["expected"]["class_temperatures"] is not None)
def test_temperatures_and_weights(case: dict[str, Any]) -> None:
    expected = case["expected"]
    close = {"rtol": 1e-6, "atol": 0.0}  # they are listed in float32
    torch.testing.assert_close(build(case).temperatures, torch.tensor(expected["class_temperatures"]), **close)
    weights = inverse_effective_number(counts(case), case["params"]["beta"])
    torch.testing.assert_close(weights, torch.tensor(expected["class_weights"]), **close)


def test_temperatures_of_cifar100() -> None:
    temperatures = RIDE(torch.tensor([int(500 * 0.01 ** (label / 99)) for label in range(100)])).temperatures
    assert [round(temperatures[label].item(), 6) for label in (0, 50, 99)] == [1.0, 0.823502, 0.806711]
    assert temperatures.mean().item() == pytest.approx(0.847114, abs=5e-7)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("epoch", [7, 8])
def test_the_formula_as_a_loop(epoch: int) -> None:
    logits = experts(3)
    loss = RIDE(TOY, diversity=-0.3, spread=0.2, temperature=2.0, beta=0.99)
    loss.set_epoch(epoch, 10)
    late = epoch >= 8
    relative = [3 * count / 111 * 0.2 + 0.8 for count in TOY.tolist()]
    temperatures = [2 * value / max(relative) if late else 2.0 for value in relative]
    single = [(1 - 0.99) / (1 - 0.99**count) for count in TOY.tolist()]
    total = sum(single[label] for label in LABELS.tolist()) / 4
    margins = [0.5 * count**-0.25 for count in TOY.tolist()]

    def softmax(row: list[float]) -> list[float]:
        exponentials = [math.exp(value) for value in row]
        return [value / sum(exponentials) for value in exponentials]

    def tempered(row: list[float]) -> list[float]:
        return softmax([value / t for value, t in zip(row, temperatures, strict=True)])

    for number, label in enumerate(LABELS.tolist()):
        rows = logits[:, number].tolist()
        mean = tempered([sum(column) / 3 for column in zip(*rows, strict=True)])
        expected = 0.0
        for row in rows:
            lowered = [value - 30 * margins[c] * (c == label) for c, value in enumerate(row)]
            weight = single[label] / total if late else 1.0
            expected -= weight * math.log(softmax(lowered)[label])
            divergence = sum(p * math.log(p / q) for p, q in zip(mean, tempered(row), strict=True))
            expected += -0.3 * (sum(temperatures) / 3) ** 2 * divergence
        assert loss(output(logits), LABELS)[number].item() == pytest.approx(expected, rel=1e-10)


def test_one_expert_agrees_with_itself() -> None:
    logits = experts(1)
    assert RIDE(TOY).disagreement(logits).abs().max() < 1e-6
    value = RIDE(TOY)(output(logits), LABELS)
    torch.testing.assert_close(value, LDAM(TOY)(output(logits), LABELS))


def test_without_diversity_every_expert_still_has_its_own_loss() -> None:
    logits = experts(3)
    values = RIDE(TOY, diversity=0, loss=CrossEntropy)(output(logits), LABELS)
    torch.testing.assert_close(values, PerExpert(TOY)(output(logits), LABELS))
    together = 3 * CrossEntropy(TOY)(output(logits), LABELS)
    assert not torch.allclose(values, together), "the mean of the experts is another, collaborative loss"


def test_the_sign_is_that_of_the_paper() -> None:
    logits = experts(3, scale=1).requires_grad_()
    loss = RIDE(TOY)
    assert (loss.disagreement(logits) > 0).all()
    rewarded = RIDE(TOY, diversity=-0.5)(output(logits), LABELS) - RIDE(TOY, diversity=0)(output(logits), LABELS)
    assert (rewarded < 0).all(), "a negative lambda rewards experts that differ"


def test_no_gradient_flows_through_the_mean() -> None:
    logits = experts(2, scale=1).requires_grad_()
    RIDE(TOY).disagreement(logits).sum().backward()
    apart, together = logits.detach()[0].softmax(1), logits.detach().mean(0).softmax(1)
    torch.testing.assert_close(logits.grad[0], apart - together)


def test_the_switch_takes_place_in_the_last_epoch_of_a_short_run() -> None:
    loss = RIDE(TOY)
    assert loss.notes(200) == []
    started = []
    for epoch in range(200):
        loss.set_epoch(epoch, 200)
        started.append((loss.started, loss.parts[0].parts[0].started))
    assert started == [(False, False)] * 160 + [(True, True)] * 40
    loss.set_epoch(1, 2)
    assert (loss.started, loss.parts[0].parts[0].started) == (True, True)
    assert "takes place in the last of 2 epochs" in loss.notes(2)[0]


def test_a_head_without_experts_is_refused() -> None:
    with pytest.raises(InputError, match=r"RIDE needs several experts: pass .*MultiExpert.*ExpertHeads"):
        RIDE(TOY)(Output(torch.zeros(4, 3), torch.zeros(4, 3)), LABELS)
