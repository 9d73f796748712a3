"""The schedules, against the numbers of the LDAM code and at their ends."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("epochs", "factors"),
    [(1, [1]), (2, [1, 1e-4]), (3, [1, 1, 1e-4]), (5, [0.5, 1, 1, 1, 1e-4]), (6, [0.2, 0.4, 0.6, 0.8, 1, 1e-4])],
)
def test_steps_fit_into_a_short_run(epochs: int, factors: list[float]) -> None:
    assert [Steps()(epoch, epochs) for epoch in range(epochs)] == pytest.approx(factors)


@pytest.mark.parametrize("warmup", [0, 3, 5])
def test_a_run_without_notes_has_the_whole_warm_up_and_every_drop_of_its_own(warmup: int) -> None:
    steps = Steps(warmup=warmup)
    silent = {epochs for epochs in range(1, 80) if not steps.notes(epochs)}
    assert silent == set(range(10, 80))
    assert len(steps.notes(1)) == 2 + (warmup > 0)
    assert steps.notes(9) == ["the drop of the rate at 0.9 of the run takes place in the last of 9 epochs"]


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


@pytest.mark.parametrize(
    ("warmup", "epochs", "factors"), [(5, 5, [0.5, 1, 1, 0.75, 0.25]), (5, 2, [1, 0.5]), (1, 1, [1])]
)
def test_the_warm_up_of_the_cosine_fits_into_a_short_run(warmup: int, epochs: int, factors: list[float]) -> None:
    cosine = Cosine(warmup)
    assert [cosine(epoch, epochs) for epoch in range(epochs)] == pytest.approx(factors)
    assert cosine.notes(epochs) == [f"the warm-up of {warmup} epochs takes {(epochs - 1) // 2} of {epochs}"]


@pytest.mark.parametrize("schedule", [Cosine(), Cosine(2), Steps(warmup=0)])
@pytest.mark.parametrize("epochs", [10, 30, 200])
def test_runs_that_are_long_enough_pass(schedule: Schedule, epochs: int) -> None:
    assert schedule.notes(epochs) == []


def test_the_cosine_without_warm_up_suits_any_run() -> None:
    assert Cosine().notes(1) == []
    assert Cosine()(0, 1) == 1


def test_the_exponential_schedule_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    for epoch in range(20):
        assert Exponential(0.9)(epoch, 20) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        reference.step()
    with pytest.raises(InputError, match="must be above 0 and at most 1, not 0"):
        Exponential(0.0)
