"""Samplers made of samplers."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ltr import distributed, seeds
from ltr.backbones import ResNet20
from ltr.contracts import Batch
from ltr.counts import per_class
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.methods import Method
from ltr.samplers import Bilateral, Deferred, Oversampling, Power, Progressive
from ltr.schedules import Cosine


def balanced(labels: Tensor) -> Power:
    return Power(labels, q=0.0)


@pytest.mark.parametrize(("epoch", "late"), [(0, False), (159, False), (160, True), (199, True)])
def test_drs_switches_where_the_public_code_does(epoch: int, late: bool, labels_of) -> None:
    labels = labels_of([100, 40, 10, 5, 1])
    sampler = Deferred(labels)
    sampler.set_epoch(epoch, 200)
    expected = (balanced(labels) if late else Power(labels)).draw(seeds.generator(0, epoch))
    assert torch.equal(sampler.draw(seeds.generator(0, epoch)), expected)


def test_the_later_sampler_hears_the_epochs_of_the_whole_run(labels_of) -> None:
    labels = labels_of([100, 40, 10, 5, 1])
    sampler, expected = Deferred(labels, before=balanced, after=Progressive), Progressive(labels)
    for part in (sampler, expected):
        part.set_epoch(160, 200)
    assert torch.equal(sampler.draw(seeds.generator(0, 0)), expected.draw(seeds.generator(0, 0)))


def test_a_run_that_is_too_short_for_the_switch_is_noted(labels_of) -> None:
    labels = labels_of([30, 9, 2])
    assert Deferred(labels).notes(200) == Deferred(labels, start=0.5).notes(2) == []
    late = "the switch of the Deferred sampler at {} of the run takes place in the last of {} epochs"
    assert Deferred(labels, start=0.99).notes(10) == [late.format(0.99, 10)]
    assert Deferred(labels, before=lambda labels: Deferred(labels), start=0.5).notes(3) == [late.format(0.8, 3)]


def test_epochs_of_two_lengths_are_refused(labels_of) -> None:
    with pytest.raises(InputError, match="Power has 41 images and one of Oversampling 90: use samplers"):
        Deferred(labels_of([30, 9, 2]), after=Oversampling)


class Shown(Callback):
    """Count the classes that a training shows in each epoch."""

    def __init__(self) -> None:
        self.counts: dict[int, Tensor] = {}

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: object, batch: Batch, index: int
    ) -> None:
        epoch = trainer.current_epoch
        self.counts[epoch] = self.counts.get(epoch, torch.zeros(5, dtype=torch.int64)) + per_class(batch.labels, 5)


def test_drs_fires_in_a_training(trainer) -> None:
    shown = Shown()
    data = Synthetic(sampler=Deferred, largest=40)
    trainer(5, callbacks=[shown]).fit(Method(ResNet20(width=2), data.counts, schedule=Cosine()), datamodule=data)
    for epoch in range(4):
        assert tuple(shown.counts[epoch].tolist()) == data.counts
    assert shown.counts[4][-1] > 2 * data.counts[-1], "the smallest class comes more often at the end"
    assert shown.counts[4].sum() == sum(data.counts)
    late = Synthetic(sampler=lambda labels: Deferred(labels, start=0.9))
    with pytest.warns(UserWarning, match=r"^this run is short: the switch of the Deferred sampler at 0\.9 of the run"):
        trainer(3).fit(Method(ResNet20(width=2), late.counts, schedule=Cosine()), datamodule=late)


def test_the_streams_take_turns(labels_of) -> None:
    labels = labels_of([30, 9, 2])
    drawn = Bilateral(labels).draw(seeds.generator(0, 0))
    generator = seeds.generator(0, 0)
    assert torch.equal(drawn[0::2], Power(labels).draw(generator))
    assert torch.equal(drawn[1::2], Power(labels, q=-1.0).draw(generator))


@pytest.mark.parametrize("wrap", [Bilateral, lambda labels: Deferred(labels, before=Bilateral, after=Bilateral)])
def test_every_process_sees_both_streams(wrap, labels_of, monkeypatch) -> None:
    labels = labels_of([300, 90, 21])
    whole = torch.tensor(list(wrap(labels))).view(-1, 2)
    monkeypatch.setattr(distributed, "world", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        sampler = wrap(labels)
        assert torch.equal(torch.tensor(list(sampler)).view(-1, 2), whole[rank::2])
        assert len(sampler) == 2 * (len(labels) // 2)
