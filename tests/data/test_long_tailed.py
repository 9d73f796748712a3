"""What every long-tailed set does, shown on two that need no files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ltr import distributed
from ltr.counts import fingerprint, per_class
from ltr.data import CropFlip, DigitsLT, LongTailed, Synthetic
from ltr.data.base import FeatureBank
from ltr.data.loaders import InMemoryLoader
from ltr.errors import InputError
from ltr.samplers import Power

every_set = pytest.mark.parametrize("kind", [Synthetic, DigitsLT])


def ready(kind: type[LongTailed] = Synthetic, **options: Any) -> LongTailed:
    """Return a set that has read its files."""
    data = kind(**options)
    data.setup("fit")
    return data


def found_counts(data: LongTailed, name: str) -> tuple[int, ...]:
    """Count the labels of a split."""
    return tuple(per_class(data.splits[name].labels, data.total_classes).tolist())


@every_set
@pytest.mark.parametrize("val_per_class", [0, 3])
@pytest.mark.parametrize("tail", ["exp", "step", "none"])
def test_counts_are_known_before_a_file_is_read(kind: type[LongTailed], tail: Any, val_per_class: int) -> None:
    data = kind(tail=tail, val_per_class=val_per_class, imbalance=10)
    assert not data.splits
    counts, groups = data.counts, data.groups
    assert sorted(label for group in groups.values() for label in group) == list(range(data.total_classes))
    data.setup("fit")
    assert found_counts(data, "train") == counts == data.counts
    assert len(data.classes) == data.total_classes
    if val_per_class:
        assert found_counts(data, "val") == tuple(data.val_counts)
        whole = kind(tail=tail, imbalance=10).counts
        assert data.val_counts == [min(3, count - 1) for count in whole]


def test_the_counts_of_the_digits() -> None:
    assert DigitsLT(imbalance=50).counts == (130, 84, 54, 35, 22, 14, 9, 6, 4, 2)


@every_set
def test_splits_are_disjoint_and_are_the_images_of_the_file(kind: type[LongTailed]) -> None:
    data = ready(kind, val_per_class=2)
    splits, _ = data.read()
    whole, test = splits["train"], splits["test"]
    train, val = data.splits["train"], data.splits["val"]
    everything = np.concatenate([train.indices, val.indices])
    assert len(set(everything.tolist())) == len(everything)
    positions = {int(position): place for place, position in enumerate(whole.indices)}
    for split in (train, val):
        places = [positions[int(position)] for position in split.indices]
        assert torch.equal(split.images, whole.images[places])
        assert torch.equal(split.labels, whole.labels[places])
    assert torch.equal(data.splits["test"].images, test.images)
    assert len(set(found_counts(data, "test"))) == 1, "the test split is balanced"


def test_the_digits_of_the_test_are_the_first_of_each_class() -> None:
    target, images = load_digits().target, load_digits().images
    data = ready(DigitsLT, val_per_class=1)
    first = np.concatenate([np.flatnonzero(target == label)[:40] for label in range(10)])
    test = data.splits["test"]
    assert test.indices.tolist() == first.tolist()
    for name in ("train", "val"):
        assert not set(first.tolist()) & set(data.splits[name].indices.tolist())
    split = data.splits["train"]
    assert split.labels.tolist() == target[split.indices].tolist()
    torch.testing.assert_close(
        split.images[:, 0, ::2, 1::2].double(), torch.from_numpy(images[split.indices]) * 255 / 16, rtol=0, atol=0.5
    )
    pixels = images / 16
    assert data.mean == pytest.approx([pixels.mean()] * 3, abs=6e-3)
    assert data.std == pytest.approx([pixels.std()] * 3, abs=6e-3)


def test_validation_leaves_every_class_an_image() -> None:
    data = ready(classes=5, largest=20, imbalance=20, val_per_class=5)
    assert data.val_counts == [5, 5, 3, 1, 0]
    assert data.counts == (15, 4, 1, 1, 1)
    assert found_counts(data, "train") == data.counts
    assert found_counts(data, "val") == tuple(data.val_counts)
    assert not data.description["official"]
    whole = ready(classes=5, largest=20, imbalance=20)
    assert whole.counts == (20, 9, 4, 2, 1)
    both = np.concatenate([data.splits["train"].indices, data.splits["val"].indices])
    assert fingerprint(both) == whole.fingerprints["train"], "validation is carved out of the same images"
    assert whole.description["official"]


def test_validation_takes_a_part_of_each_class_at_most() -> None:
    data = ready(classes=5, largest=40, imbalance=40, val_per_class=6, val_share=0.2)
    whole = [count + held_out for count, held_out in zip(data.counts, data.val_counts, strict=True)]
    assert whole == [40, 15, 6, 2, 1]
    assert data.val_counts == [6, 3, 1, 1, 0]


@every_set
def test_the_subset_has_a_seed_of_its_own(kind: type[LongTailed], monkeypatch: pytest.MonkeyPatch) -> None:
    first = ready(kind).fingerprints
    monkeypatch.setenv("PL_GLOBAL_SEED", "99")
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - what `seed_everything` does
    assert ready(kind).fingerprints == first
    other = ready(kind, subset_seed=1).fingerprints
    assert other["train"] != first["train"]
    assert other["test"] == first["test"]
    assert other["train"] == fingerprint(ready(kind, subset_seed=1).splits["train"].indices)


def test_the_sampler_has_the_seed_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    data = ready()
    assert data.sampler.seed == 0
    order = list(data.sampler)
    monkeypatch.setenv("PL_GLOBAL_SEED", "7")
    assert list(data.sampler) == order, "the seed is read once, when a run starts"
    data.setup("fit")
    assert data.sampler.seed == 7
    assert list(data.sampler) == list(data.train_sampler(7)) != order


def test_what_is_monitored() -> None:
    assert Synthetic().monitored == ["test"]
    assert Synthetic(val_per_class=1).monitored == ["val", "test"]
    data = ready(val_per_class=1)
    sizes = [len(loader.labels) for loader in data.val_dataloader()]
    assert sizes == [len(data.splits["val"].labels), len(data.splits["test"].labels)]
    assert len(data.test_dataloader().labels) == len(data.predict_dataloader().labels) == sizes[1]


def test_an_epoch_shows_every_training_image_once() -> None:
    data = ready(batch_size=16)
    data.set_epoch(0, 2)
    loader, split = data.train_dataloader(), data.splits["train"]
    batches = list(loader)
    assert len(batches) == len(loader) == -(-sum(data.counts) // 16)
    assert [len(batch.labels) for batch in batches[:-1]] == [16] * (len(batches) - 1)
    order = torch.cat([batch.indices for batch in batches])
    assert sorted(order.tolist()) == list(range(sum(data.counts)))
    for batch in batches:
        assert batch.images.dtype == torch.uint8
        assert torch.equal(batch.images, split.images[batch.indices])
        assert torch.equal(batch.labels, split.labels[batch.indices])
    data.set_epoch(1, 2)
    assert torch.cat([batch.indices for batch in loader]).tolist() != order.tolist()


def test_evaluation_goes_in_order() -> None:
    data = ready(eval_batch_size=7)
    loader = data.test_dataloader()
    assert torch.cat([batch.indices for batch in loader]).tolist() == list(range(len(loader.labels)))
    assert max(len(batch.labels) for batch in loader) == 7


def test_images_are_normalised() -> None:
    data = ready(augment=CropFlip(2))
    batch = next(iter(data.test_dataloader()))
    prepared = data.prepare(batch.images)
    expected = (batch.images.float() / 255 - torch.tensor(data.mean).view(3, 1, 1)) / torch.tensor(data.std).view(
        3, 1, 1
    )
    torch.testing.assert_close(prepared, expected, rtol=1e-5, atol=2e-6)
    torch.manual_seed(0)
    assert not torch.equal(data.prepare(batch.images, augment=True), prepared)


def test_cached_features_take_the_place_of_the_training_images() -> None:
    data = ready()
    size = sum(data.counts)
    bank = FeatureBank({"train": torch.arange(3 * size).view(3, size, 1).float()})
    data.trainer = SimpleNamespace(lightning_module=SimpleNamespace(bank=bank))
    torch.manual_seed(0)
    views = []
    for batch in data.train_dataloader():
        assert batch.features is not None
        assert batch.images.numel() == 0
        view, position = batch.features[:, 0].long() // size, batch.features[:, 0].long() % size
        assert torch.equal(position, batch.indices)
        views.append(view)
    assert torch.cat(views).unique().tolist() == [0, 1, 2], "a view is drawn per image"
    assert next(iter(data.plain("train"))).features is None, "what is computed from images is never read back"


def test_processes_take_equally_many_steps_and_evaluate_every_image(monkeypatch: pytest.MonkeyPatch) -> None:
    data = ready(classes=3, largest=7, tail="none", batch_size=5, eval_batch_size=4)  # 21 images: shards of 11 and 10
    monkeypatch.setattr(distributed, "world", lambda: 2)
    steps, seen = [], []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        loader = data.train_dataloader()
        steps.append(len(list(loader)))
        assert steps[-1] == len(loader)
        seen += torch.cat([batch.indices for batch in data.test_dataloader()]).tolist()
    assert steps == [2, 2]
    assert sorted(seen) == list(range(len(data.splits["test"].labels)))


@pytest.mark.parametrize("options", [{"val_per_class": -1}, {"batch_size": 0}, {"eval_batch_size": 0}])
@every_set
def test_impossible_sizes(kind: type[LongTailed], options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least one image"):
        kind(**options)


def test_one_class_is_no_classification() -> None:
    with pytest.raises(InputError, match="at least two classes"):
        Synthetic(classes=1)


def test_setup_happens_once() -> None:
    data = ready()
    before = data.splits["train"].images
    data.setup("test")
    assert data.splits["train"].images is before


def test_the_sampler_is_the_one_asked_for() -> None:
    data = ready(sampler=lambda labels: Power(labels, q=0))
    assert isinstance(data.train_dataloader(), InMemoryLoader)
    torch.testing.assert_close(data.sampler.q, 0)
    drawn = torch.cat([batch.labels for epoch in range(60) for batch in epoch_of(data, epoch)])
    shares = per_class(drawn, 5) / len(drawn)
    assert (shares - 0.2).abs().max() < 4 * (0.2 * 0.8 / len(drawn)) ** 0.5


def epoch_of(data: LongTailed, epoch: int) -> InMemoryLoader:
    """Return the training loader of an epoch."""
    data.set_epoch(epoch, 60)
    return data.train_dataloader()


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(41, [42]), (20, [20, 20, 2]), (14, [14, 14, 14]), (42, [42]), (1, [1] * 42)]
)
def test_a_single_last_image_joins_the_batch_before_it(batch_size: int, sizes: list[int]) -> None:
    data = Synthetic(batch_size=batch_size)
    data.setup()
    loader = data.train_dataloader()
    batches = [*loader]
    assert [len(batch.labels) for batch in batches] == sizes
    assert len(loader) == len(sizes)
    assert sorted(torch.cat([batch.indices for batch in batches]).tolist()) == list(range(42))


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(41, [41]), (20, [20, 20]), (14, [14] * 3), (42, [42]), (43, [42]), (1, [1] * 42)]
)
def test_the_last_smaller_batch_is_dropped_where_asked(batch_size: int, sizes: list[int]) -> None:
    data = ready(batch_size=batch_size, drop_last=True)
    loader = data.train_dataloader()
    assert [len(batch.labels) for batch in loader] == sizes
    assert len(loader) == len(sizes)
    assert sum(len(batch.labels) for batch in data.test_dataloader()) == len(data.splits["test"].labels)


def test_the_last_smaller_batch_is_dropped_where_several_come_as_one() -> None:
    data = ready(batch_size=8, drop_last=True)  # 42 images
    bank = FeatureBank({"train": torch.zeros(1, 42, 1)}, steps=3)
    data.trainer = SimpleNamespace(lightning_module=SimpleNamespace(bank=bank))
    assert [len(batch.labels) for batch in data.train_dataloader()] == [24, 16]
