"""Sampling by a power of the class count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ltr import distributed, seeds
from ltr.counts import per_class
from ltr.samplers import Power

CASES = json.loads((Path(__file__).parents[1] / "references" / "sampler_probabilities.json").read_text())["cases"]
POWERS = {"instance": 1.0, "square_root": 0.5, "class_balanced": 0.0, "reverse": -1.0}
DRAWS = 200_000


def labels_of(counts: list[int]) -> Tensor:
    """Return shuffled labels with these counts."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(5))]


def drawn(sampler: Power) -> Tensor:
    """Return the indices of as many epochs as make `DRAWS` draws."""
    epochs = -(-DRAWS // len(sampler.labels))
    return torch.cat([sampler.draw(seeds.generator(epoch)) for epoch in range(epochs)])


def within_four_sigma(found: Tensor, probabilities: Tensor, draws: int) -> bool:
    """Tell whether every frequency lies within four standard deviations of its probability."""
    sigma = (probabilities * (1 - probabilities) / draws).sqrt()
    return bool(((found / draws - probabilities).abs() <= 4 * sigma + 1e-9).all())


@pytest.mark.parametrize("name", list(POWERS))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_classes_come_as_often_as_the_public_code_says(case: dict[str, Any], name: str) -> None:
    labels = labels_of(case["counts"])
    indices = drawn(Power(labels, q=POWERS[name]))
    found = per_class(labels[indices], len(case["counts"])).double()
    expected = torch.tensor(case["expected"][name], dtype=torch.float64)
    assert within_four_sigma(found, expected, len(indices))


@pytest.mark.parametrize("q", [0.5, 0.0, -1.0])
def test_images_of_a_class_come_equally_often(q: float) -> None:
    labels = labels_of([100, 40, 10, 5, 1])
    indices = drawn(Power(labels, q=q))
    shares = torch.tensor([100, 40, 10, 5, 1], dtype=torch.float64).pow(q)
    probabilities = (shares / shares.sum() / torch.tensor([100, 40, 10, 5, 1]))[labels]
    assert within_four_sigma(per_class(indices, len(labels)).double(), probabilities, len(indices))


def test_instance_sampling_shows_every_image_once() -> None:
    sampler = Power(labels_of([30, 9, 2]))
    order = list(sampler)
    assert sorted(order) == list(range(41))
    assert order != sorted(order)


@pytest.mark.parametrize("q", [1.0, 0.0])
def test_seed_and_epoch_reproduce(q: float, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = labels_of([30, 9, 2])
    sampler, other = Power(labels, q=q), Power(labels, q=q)
    sampler.set_epoch(3, 10)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first = list(sampler)
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not touched"
    other.set_epoch(3, 10)
    assert list(other) == first
    assert list(sampler) == first, "a second pass over an epoch is the same"
    sampler.set_epoch(4, 10)
    assert list(sampler) != first
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    assert list(other) != first


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("q", [1.0, 0.5])
def test_shards_are_disjoint_and_complete(q: float, world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Power(labels_of([30, 9, 2]), q=q)
    whole = list(sampler)
    monkeypatch.setattr(distributed, "world", lambda: world)
    shards = []
    for rank in range(world):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shards.append(list(sampler))
    together = [index for shard in shards for index in shard]
    assert sorted(together) == sorted(whole)
    assert len(sampler) == min(map(len, shards)) == 41 // world
    if q == 1:
        assert len(set(together)) == 41
