"""Test sets of other class distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ltr.counts import per_class
from ltr.data import Shift
from ltr.errors import InputError

TRAINING = [5, 80, 20, 80, 1]  # by count: 1, 3 (a tie, in class order), 2, 0, 4
SIZES = [100] * 5
FALL = [100, 56, 31, 17, 10]  # 100 * 10 ** (-k / 4), truncated


@pytest.fixture
def labels() -> Tensor:
    """Return labels of a balanced split in no order."""
    return torch.arange(5).repeat(100)[torch.randperm(500)]


def test_forward_follows_the_training_and_backward_is_against_it() -> None:
    assert Shift("forward", 10).counts(TRAINING, SIZES) == [FALL[3], FALL[0], FALL[2], FALL[1], FALL[4]]
    assert Shift("backward", 10).counts(TRAINING, SIZES) == [FALL[1], FALL[4], FALL[2], FALL[3], FALL[0]]
    assert Shift("uniform").counts(TRAINING, SIZES) == SIZES


@pytest.mark.parametrize("factor", [2, 5, 10, 25, 50])
def test_the_fall_is_exponential_at_every_factor(factor: float) -> None:
    training = list(range(100, 0, -1))
    expected = [int(100 * (1 / factor) ** (rank / 99)) for rank in range(100)]
    forward = Shift("forward", factor).counts(training, [100] * 100)
    assert forward == expected
    assert Shift("backward", factor).counts(training, [100] * 100) == forward[::-1]


def test_dirichlet_has_the_proportions_of_the_draw() -> None:
    shares = np.random.RandomState(3).dirichlet([0.5] * 5)
    found = Shift("dirichlet", 0.5, seed=3).counts(TRAINING, [1000] * 5)
    assert max(found) == 1000
    assert found == pytest.approx(1000 * shares / shares.max(), abs=1)
    assert found != Shift("dirichlet", 0.5, seed=4).counts(TRAINING, [1000] * 5)


def test_a_class_gives_at_most_what_it_has() -> None:
    sizes = [100, 9, 100, 0, 100]
    assert Shift("forward", 10).counts(TRAINING, sizes) == [FALL[3], 9, FALL[2], 0, FALL[4]]
    assert Shift("uniform").counts(TRAINING, sizes) == sizes
    labels = torch.arange(5).repeat_interleave(torch.tensor(sizes))
    drawn = Shift("forward", 10).draw(TRAINING, labels)
    assert per_class(labels[drawn], 5).tolist() == [FALL[3], 9, FALL[2], 0, FALL[4]]


def test_the_seed_decides_which_images_are_drawn(labels: Tensor) -> None:
    state = torch.get_rng_state()
    drawn = Shift("backward", 10).draw(TRAINING, labels)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(drawn.unique()) == len(drawn)
    assert per_class(labels[drawn], 5).tolist() == [FALL[1], FALL[4], FALL[2], FALL[3], FALL[0]]
    assert torch.equal(Shift("backward", 10).draw(TRAINING, labels), drawn)
    assert not torch.equal(Shift("backward", 10, seed=1).draw(TRAINING, labels), drawn)


def test_names() -> None:
    assert [str(shift) for shift in (Shift("forward", 50), Shift("uniform"), Shift("dirichlet", 0.5))] == [
        "forward 50",
        "uniform",
        "dirichlet 0.5",
    ]


@pytest.mark.parametrize("kind", ["forward", "backward"])
@pytest.mark.parametrize("factor", [1, 0.5, -2])
def test_a_factor_without_meaning(kind, factor: float) -> None:
    with pytest.raises(InputError, match=f"above 1; it cannot be {factor:g}"):
        Shift(kind, factor)


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(InputError, match="concentration of a shift is above 0"):
        Shift("dirichlet", 0)
    with pytest.raises(InputError, match="the factor can be at most 100"):
        Shift("forward", 101).counts(TRAINING, SIZES)
