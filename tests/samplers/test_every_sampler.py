"""What every sampler owes. Nothing is listed here: a new `Sampler` is tested because it is exported."""

from __future__ import annotations

import inspect

import pytest
import torch

import ltr.samplers
from ltr import distributed, seeds
from ltr.contracts import Sampler
from ltr.data.loaders import InMemoryLoader

SAMPLERS = [getattr(ltr.samplers, name) for name in ltr.samplers.__all__]
COUNTS = [30, 9, 2]
every_sampler = pytest.mark.parametrize("kind", SAMPLERS, ids=lambda kind: kind.__name__)
every_time = pytest.mark.parametrize("epoch", [3, 9])  # before and after a deferred switch


@every_sampler
@every_time
def test_seed_and_epoch_reproduce(kind: type[Sampler], epoch: int, labels_of) -> None:
    sampler, other = kind(labels_of(COUNTS)), kind(labels_of(COUNTS))
    sampler.set_epoch(epoch, 10)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first = list(sampler)
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not touched"
    other.set_epoch(epoch, 10)
    assert list(other) == first
    assert list(sampler) == first, "a second pass over an epoch is the same"
    sampler.set_epoch(epoch - 1, 10)
    assert list(sampler) != first
    other.seed = 1
    assert list(other) != first


@every_sampler
@every_time
def test_an_epoch_is_as_long_as_it_says(kind: type[Sampler], epoch: int, labels_of) -> None:
    sampler = kind(labels_of(COUNTS))
    sampler.set_epoch(epoch, 10)
    drawn = sampler.draw(seeds.generator(0, epoch))
    assert drawn.dtype == torch.int64
    assert drawn.shape == (sampler.size,)
    assert len(sampler) == sampler.size
    assert drawn.min() >= 0
    assert drawn.max() < sum(COUNTS)


@every_sampler
def test_as_many_classes_as_in_inaturalist(kind: type[Sampler], labels_of) -> None:
    counts = [max(1000 // rank**2, 1) for rank in range(1, 8143)]
    sampler = kind(labels_of(counts))
    sampler.set_epoch(9, 10)
    drawn = sampler.draw(seeds.generator(0, 9))
    assert drawn.shape == (sampler.size,)
    assert len(drawn.unique()) > 1000
    assert drawn.max() < sum(counts)


@every_sampler
@pytest.mark.parametrize("world", [2, 3])
def test_shards_are_disjoint_and_complete(kind: type[Sampler], world: int, labels_of, monkeypatch) -> None:
    labels = labels_of(COUNTS)
    sampler = kind(labels)
    whole = list(sampler)
    monkeypatch.setattr(distributed, "world", lambda: world)
    shards, steps = [], []
    for rank in range(world):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shards.append(list(sampler))
        loader = InMemoryLoader(labels, sampler, batch_size=4, images=torch.zeros(len(labels), 1))
        steps.append(len(list(loader)))
        assert steps[-1] == len(loader)
    # Each position of the draw lies in one shard, with those of its turn: the shards side by side are the draw again.
    turns = sampler.size // sampler.streams
    together = torch.zeros(turns, sampler.streams, dtype=torch.int64)
    for rank, shard in enumerate(shards):
        together[rank::world] = torch.tensor(shard).view(-1, sampler.streams)
    assert together.flatten().tolist() == whole
    assert len(sampler) == min(map(len, shards)) == turns // world * sampler.streams
    assert len(set(steps)) == 1, "every process takes the same number of steps"


@every_sampler
def test_is_documented(kind: type[Sampler]) -> None:
    assert "https://" in (inspect.getdoc(kind) or "").partition("Reference:")[2]
