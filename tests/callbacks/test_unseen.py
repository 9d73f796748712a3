"""Whether a validation split is new to a network, after real trainings of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ltr.backbones import Pretrained, ResNet20
from ltr.callbacks import TemperatureScaling
from ltr.callbacks.unseen import NotUnseenError
from ltr.data import LongTailed, Synthetic
from ltr.data.splits import Split
from ltr.methods import Distillation, Method, Tuning
from ltr.schedules import Cosine

pytestmark = pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")

Train = Callable[..., str]
HELD = 2  # validation images of each class


@pytest.fixture
def train(tmp_path: Path, trainer: Callable[..., Trainer]) -> Train:
    """Return a training that saves its checkpoint and returns the path of it."""

    def run(method: Method, data: LongTailed, epochs: int = 1, resume: str | None = None) -> str:
        made = trainer(epochs)
        made.fit(method, datamodule=data, ckpt_path=resume)
        path = tmp_path / f"{len(list(tmp_path.glob('*.ckpt')))}.ckpt"
        made.save_checkpoint(path)
        return str(path)

    return run


@pytest.fixture
def accepted(trainer: Callable[..., Trainer]) -> Callable[..., bool]:
    """Return whether a temperature is fitted to the validation split of some data, by a test of a checkpoint."""

    def ask(method: Method, data: LongTailed, checkpoint: str) -> bool:
        tester = trainer(callbacks=[TemperatureScaling()])
        try:
            tester.test(method, datamodule=data, ckpt_path=checkpoint, verbose=False)
        except NotUnseenError:
            return False
        return True

    return ask


def carved(**options: Any) -> Synthetic:
    return Synthetic(val_per_class=HELD, **options)


def plain(data: LongTailed) -> Method:
    return Method(ResNet20(width=2), data.counts, schedule=Cosine())


def pretrained(file: str, freeze: Any = "features") -> Pretrained:
    return Pretrained(file, ResNet20(width=2), freeze)


def tuned(data: LongTailed, file: str) -> Tuning:
    return Tuning(pretrained(file), data.counts, schedule=Cosine())


def finetuned(data: LongTailed, file: str) -> Method:
    return Method(pretrained(file, "none"), data.counts, schedule=Cosine())


def student(data: LongTailed, file: str) -> Distillation:
    return Distillation(ResNet20(width=2), data.counts, teacher=pretrained(file), schedule=Cosine())


SECOND = pytest.mark.parametrize("second", [tuned, finetuned, student])


def test_a_single_training(train: Train, accepted: Callable[..., bool]) -> None:
    assert accepted(plain(carved()), carved(), train(plain(carved()), carved()))
    assert not accepted(plain(carved()), carved(), train(plain(Synthetic()), Synthetic()))


@SECOND
def test_a_second_training_on_the_same_images(second: Any, train: Train, accepted: Callable[..., bool]) -> None:
    first = train(plain(carved()), carved())
    assert accepted(second(carved(), first), carved(), train(second(carved(), first), carved()))


@SECOND
def test_a_first_training_that_held_nothing_out(second: Any, train: Train, accepted: Callable[..., bool]) -> None:
    first = train(plain(Synthetic()), Synthetic())
    assert not accepted(second(carved(), first), carved(), train(second(carved(), first), carved()))


@SECOND
def test_weights_of_unknown_origin(second: Any, train: Train, accepted: Callable[..., bool], tmp_path: Path) -> None:
    bare = str(tmp_path / "bare.pt")
    torch.save(torch.load(train(plain(carved()), carved()))["state_dict"], bare)
    assert not accepted(second(carved(), bare), carved(), train(second(carved(), bare), carved()))


@SECOND
def test_what_a_third_training_inherits(second: Any, train: Train, accepted: Callable[..., bool]) -> None:
    first = train(plain(Synthetic()), Synthetic())
    other = train(second(carved(), first), carved())
    third = train(finetuned(carved(), other), carved())
    assert not accepted(finetuned(carved(), other), carved(), third)


@pytest.mark.slow
def test_another_draw_of_the_validation_split(train: Train, accepted: Callable[..., bool]) -> None:
    here, there = carved(imbalance=2), carved(imbalance=2, subset_seed=1)
    run = train(plain(here), here)
    images = [{bytes(image.numpy()) for image in data.splits[name].images} for data, name in held(here, there)]
    assert images[0] & images[1], "some images of the other validation split are trained on here"
    assert not accepted(plain(there), there, run)


def held(here: LongTailed, there: LongTailed) -> list[tuple[LongTailed, str]]:
    """Return the training split of one set and the validation split of another, both read."""
    there.setup("fit")
    return [(here, "train"), (there, "val")]


def test_a_resumed_training_on_the_same_images(train: Train, accepted: Callable[..., bool]) -> None:
    first = train(plain(carved()), carved())
    assert accepted(plain(carved()), carved(), train(plain(carved()), carved(), epochs=2, resume=first))


def test_a_training_that_was_resumed_with_other_images(train: Train, accepted: Callable[..., bool]) -> None:
    first = train(plain(carved()), carved())
    with pytest.warns(UserWarning, match="training images are new to this run"):
        resumed = train(plain(Synthetic()), Synthetic(), epochs=2, resume=first)
    assert not accepted(plain(carved()), carved(), resumed)
    first = train(plain(Synthetic()), Synthetic())
    assert not accepted(plain(carved()), carved(), train(plain(carved()), carved(), epochs=2, resume=first))


class Copied(Synthetic):
    """A set in which the first two images of the largest class are one, as CIFAR has some."""

    def read(self) -> tuple[dict[str, Split], list[str]]:
        splits, classes = super().read()
        images: Tensor = splits["train"].images  # type: ignore[assignment]
        images[1 : self.largest] = images[0]
        return splits, classes


def test_a_copy_of_a_present_training_image_is_no_leak(train: Train, accepted: Callable[..., bool]) -> None:
    def data() -> Copied:
        return Copied(val_per_class=HELD)

    assert accepted(plain(data()), data(), train(plain(data()), data()))
