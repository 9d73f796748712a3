"""Random numbers that depend on (seed, epoch, rank) alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from ltr import distributed, seeds


def draws(seed: int, epoch: int) -> tuple[float, float, float]:
    """Return one number of each global generator after reseeding."""
    seeds.reseed(seed, epoch)
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_the_seed_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    assert seeds.seed() == 0
    monkeypatch.setenv("PL_GLOBAL_SEED", "17")
    assert seeds.seed() == 17


def test_epoch_seed_and_process_each_make_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    first = draws(3, 5)
    torch.rand(9)
    assert draws(3, 5) == first
    others = [draws(3, 6), draws(4, 5)]
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    others.append(draws(3, 5))
    for other in others:
        assert all(a != b for a, b in zip(first, other, strict=True))


def test_streams_take_turns_and_are_independent() -> None:
    def one() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    alone = {}
    for seed in (8, 9):
        seeds.reseed(seed, 0)
        alone[seed] = [one() for _ in range(3)]
    seeds.reseed(3, 0)
    outside = [one() for _ in range(6)]

    seeds.reseed(3, 0)
    streams = {seed: seeds.Stream(seed) for seed in alone}
    for stream in streams.values():
        with stream.drawn():
            seeds.reseed(stream.seed, 0)
    found: dict[int, list[tuple[float, float, float]]] = {seed: [] for seed in alone}
    between = []
    for _ in range(3):
        for seed, stream in streams.items():
            with stream.drawn():
                found[seed].append(one())
            between.append(one())
    assert found == alone
    assert between == outside


def test_samplers_draw_the_same_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    first = torch.rand(4, generator=seeds.generator(3, 2))
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    assert torch.equal(torch.rand(4, generator=seeds.generator(3, 2)), first)
    assert not torch.equal(torch.rand(4, generator=seeds.generator(3, 3)), first)


@pytest.mark.parametrize("pair", [((0, 1), (1, 0)), ((0, 0), (0, 1)), ((2, 3), (3, 2))])
def test_neighbours_are_unrelated(pair: tuple[tuple[int, int], ...]) -> None:
    values = [torch.rand(100, generator=seeds.generator(seed, epoch)) for seed, epoch in pair]
    assert abs(torch.corrcoef(torch.stack(values))[0, 1]) < 0.4
