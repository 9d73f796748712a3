"""The schedules, against the numbers of the LDAM code and at their ends."""

from __future__ import annotations

import math

import pytest
import torch

from ltr.contracts import Schedule
from ltr.errors import InputError
from ltr.schedules import Cosine, Exponential, Steps


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [
        (0, 0.2),
        (1, 0.4),
        (2, 0.6),
        (3, 0.8),
        (4, 1),
        (5, 1),
        (159, 1),
        (160, 0.01),
        (179, 0.01),
        (180, 1e-4),
        (199, 1e-4),
    ],
)
def test_steps_are_those_of_ldam(epoch: int, factor: float) -> None:
    assert Steps()(epoch, 200) == pytest.approx(factor, rel=1e-12)


def test_thirty_epochs_keep_the_shape() -> None:
    factors = [Steps()(epoch, 30) for epoch in range(30)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8] + [1] * 20 + [0.01] * 3 + [1e-4] * 3)


def test_a_milestone_is_not_late_by_rounding() -> None:
    steps = Steps([0.55, 0.57], gamma=0.1, warmup=0)  # .55 * 100 is a little more than 55 in binary
    assert [steps(epoch, 100) for epoch in (54, 55, 56, 57)] == pytest.approx([1, 0.1, 0.1, 0.01])


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_steps_refuse_a_run_without_steps(epochs: int) -> None:
    with pytest.raises(InputError, match=f"^{epochs} epochs are too short .* never reached"):
        Steps().check(epochs)


@pytest.mark.parametrize("warmup", [0, 3, 5])
def test_steps_refuse_exactly_the_runs_that_do_not_end_at_the_lowest_rate(warmup: int) -> None:
    steps = Steps(warmup=warmup)
    refused = set()
    for epochs in range(1, 80):
        try:
            steps.check(epochs)
        except InputError:
            refused.add(epochs)
    silent = {epochs for epochs in range(1, 80) if not math.isclose(steps(epochs - 1, epochs), 1e-4)}
    assert refused == silent
    assert {1, 2, 5} <= refused
    assert 30 not in refused


def test_the_cosine_falls_from_one_to_nothing() -> None:
    cosine = Cosine()
    assert [cosine(epoch, 40) for epoch in (0, 20, 40)] == pytest.approx([1, 0.5, 0], abs=1e-12)
    factors = [cosine(epoch, 40) for epoch in range(40)]
    assert factors == sorted(factors, reverse=True)
    assert 0 < factors[-1] < 0.01


def test_the_cosine_warms_up() -> None:
    factors = [Cosine(4)(epoch, 20) for epoch in range(20)]
    assert factors[:5] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    assert factors[12] == pytest.approx(0.5)


@pytest.mark.parametrize(("warmup", "epochs"), [(5, 5), (5, 2), (1, 1)])
def test_the_cosine_refuses_a_run_that_only_warms_up(warmup: int, epochs: int) -> None:
    with pytest.raises(InputError, match=f"warm-up of {warmup} epochs"):
        Cosine(warmup).check(epochs)


@pytest.mark.parametrize("schedule", [Cosine(), Cosine(2), Steps(warmup=0)])
@pytest.mark.parametrize("epochs", [10, 30, 200])
def test_runs_that_are_long_enough_pass(schedule: Schedule, epochs: int) -> None:
    schedule.check(epochs)


def test_the_cosine_without_warm_up_suits_any_run() -> None:
    Cosine().check(1)
    assert Cosine()(0, 1) == 1


def test_the_exponential_schedule_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    for epoch in range(20):
        assert Exponential(0.9)(epoch, 20) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        reference.step()
    with pytest.raises(InputError, match="it cannot be 0"):
        Exponential(0.0)
