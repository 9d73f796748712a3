"""A network keeps what its images go through, and whoever asks it gets that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from ltr.backbones import ResNet20
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.methods import Method
from ltr.preprocessing import Preprocessing
from ltr.schedules import Cosine

Make = Callable[..., Trainer]


class Bright(Synthetic):
    """The same images, which others would normalise and crop otherwise."""

    mean = (0.1, 0.2, 0.3)
    std = (0.5, 0.6, 0.7)
    crop = 6


def method(data: Synthetic) -> Method:
    return Method(ResNet20(width=2), data.counts, schedule=Cosine())


def test_images_are_cropped_and_normalised() -> None:
    images = torch.randint(0, 256, (4, 3, 9, 7), dtype=torch.uint8)
    prepared = Preprocessing(9, 4, Bright.mean, Bright.std)(images)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (Bright.mean, Bright.std))
    expected = (images[:, :, 2:6, 1:5].float() / 255 - mean) / std
    torch.testing.assert_close(prepared, expected, rtol=1e-5, atol=2e-6)


def test_smaller_images_than_it_takes_are_refused() -> None:
    with pytest.raises(InputError, match="takes images of 8 x 8 pixels, and these have 7 x 9"):
        Preprocessing(9, 8, Bright.mean, Bright.std).cropped(torch.zeros(1, 3, 7, 9))


def test_a_test_on_other_data_prepares_images_as_the_training_did(trainer: Make, tmp_path: Path) -> None:
    model, training = method(Bright()), trainer(1)
    training.fit(model, datamodule=Bright())
    path = tmp_path / "last.ckpt"
    training.save_checkpoint(path)
    found: dict[str, Any] = {}
    for name, data in {"own": Bright(), "other": Synthetic()}.items():
        fresh = method(data)
        trainer(1).test(fresh, datamodule=data, ckpt_path=str(path), verbose=False)
        assert fresh.preprocessing == Bright().preprocessing
        assert fresh.classes == [f"class {label}" for label in range(5)]
        found[name] = fresh.reports["test"].recall
        fresh.eval()
        images = data.splits["test"].images
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (Bright.mean, Bright.std))
        with torch.no_grad():
            expected = fresh((images[:, :, 1:7, 1:7].float() / 255 - mean) / std).logits
            torch.testing.assert_close(fresh.predict(images).logits, expected, rtol=1e-4, atol=1e-5)
    assert found["own"] == found["other"], "the same test images, prepared in the same way"
