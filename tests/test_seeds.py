"""Random numbers that depend on (seed, epoch, rank) alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from ltr import distributed, seeds


def draws(epoch: int) -> tuple[float, float, float]:
    """Return one number of each global generator after reseeding."""
    seeds.reseed(epoch)
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_the_seed_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    assert seeds.seed() == 0
    monkeypatch.setenv("PL_GLOBAL_SEED", "17")
    assert seeds.seed() == 17


def test_epoch_seed_and_process_each_make_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "3")
    first = draws(5)
    torch.rand(9)
    assert draws(5) == first
    others = [draws(6)]
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    others.append(draws(5))
    monkeypatch.setattr(distributed, "rank", lambda: 0)
    monkeypatch.setenv("PL_GLOBAL_SEED", "4")
    others.append(draws(5))
    for other in others:
        assert all(a != b for a, b in zip(first, other, strict=True))


def test_streams_take_turns_and_none_hears_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "3")

    def one() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    alone = {}
    for seed in (8, 9):
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        seeds.reseed(0)
        alone[seed] = [one() for _ in range(3)]
    monkeypatch.setenv("PL_GLOBAL_SEED", "3")
    seeds.reseed(0)
    outside = [one() for _ in range(6)]

    seeds.reseed(0)
    streams = {seed: seeds.Stream(seed) for seed in alone}
    for stream in streams.values():
        with stream.drawn():
            seeds.reseed(0)
    found: dict[int, list[tuple[float, float, float]]] = {seed: [] for seed in alone}
    between = []
    for _ in range(3):
        for seed, stream in streams.items():
            with stream.drawn():
                assert seeds.seed() == seed
                found[seed].append(one())
            between.append(one())
    assert found == alone
    assert between == outside
    assert seeds.seed() == 3


def test_samplers_draw_the_same_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "3")
    first = torch.rand(4, generator=seeds.generator(2))
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    assert torch.equal(torch.rand(4, generator=seeds.generator(2)), first)
    assert not torch.equal(torch.rand(4, generator=seeds.generator(3)), first)


@pytest.mark.parametrize("pair", [((0, 1), (1, 0)), ((0, 0), (0, 1)), ((2, 3), (3, 2))])
def test_neighbours_are_unrelated(pair: tuple[tuple[int, int], ...], monkeypatch: pytest.MonkeyPatch) -> None:
    values = []
    for seed, epoch in pair:
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        values.append(torch.rand(100, generator=seeds.generator(epoch)))
    assert abs(torch.corrcoef(torch.stack(values))[0, 1]) < 0.4
