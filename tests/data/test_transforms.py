"""Augmentation of whole batches, against one image at a time."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as reference

from ltr.data.transforms import (
    Compose,
    CropFlip,
    Cutout,
    MultiView,
    Plain,
    ResizedCrop,
    SADEView,
    SimCLRView,
)
from ltr.preprocessing import normalise


def images(size: int, height: int = 8, width: int = 6) -> Tensor:
    """Draw uint8 images without a symmetry."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (size, 3, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(("padding", "flip"), [(4, True), (2, False), (0, True)])
def test_crop_and_flip_one_image_at_a_time(padding: int, flip: bool) -> None:
    batch = images(20)
    torch.manual_seed(3)
    found = CropFlip(padding, flip)(batch)
    torch.manual_seed(3)
    tops, lefts = torch.randint(2 * padding + 1, (2, 20, 1)).squeeze(2).tolist()
    mirrored = (torch.rand(20, 1) < 0.5).flatten().tolist() if flip else [False] * 20
    for image, top, left, mirror, result in zip(batch, tops, lefts, mirrored, found, strict=True):
        expected = reference.crop(reference.pad(image, [padding] * 4), top, left, 8, 6)
        assert torch.equal(result, reference.hflip(expected) if mirror else expected)
    assert found.dtype == torch.uint8


def test_every_crop_comes_as_often_as_any_other() -> None:
    image = images(1, 2, 2)
    padded = reference.pad(image[0], [1] * 4)
    crops = [reference.crop(padded, top, left, 2, 2) for top, left in itertools.product(range(3), repeat=2)]
    possible = [reference.hflip(crop) if mirror else crop for crop in crops for mirror in (False, True)]
    torch.manual_seed(0)
    found = CropFlip(1)(image.expand(9000, -1, -1, -1))
    hits = torch.stack([(found == crop).flatten(1).all(1) for crop in possible])
    assert (hits.sum(0) == 1).all(), "every result is exactly one of the possible ones"
    expected, sigma = 9000 / 18, (9000 * (1 / 18) * (17 / 18)) ** 0.5
    assert ((hits.sum(1) - expected).abs() < 4 * sigma).all()


def test_the_batch_is_left_as_it_was() -> None:
    batch = images(4)
    before = batch.clone()
    CropFlip()(batch)
    assert torch.equal(batch, before)
    assert torch.equal(Plain()(batch), before)


def test_normalise_as_torchvision_does() -> None:
    mean, std = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]
    batch = images(5)
    found = normalise(batch, torch.tensor(mean), torch.tensor(std))
    torch.testing.assert_close(found, reference.normalize(batch.float() / 255, mean, std), rtol=1e-5, atol=2e-6)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("flip", [True, False])
def test_what_mirrors_says_so(flip: bool) -> None:
    batch = images(20).repeat_interleave(2, 3)  # wide enough for the blur
    for transform in (CropFlip(0, flip), ResizedCrop(scale=1.0, flip=flip), SimCLRView(1.0, blur=0.0, flip=flip)):
        assert transform.mirrors == flip
        for whole in (Compose([Cutout(), transform]), MultiView([Plain(), transform])):
            assert whole.mirrors == flip
    changed = CropFlip(0, flip)(batch)
    assert any(torch.equal(image, other.flip(2)) for image, other in zip(batch, changed, strict=True)) == flip
    assert SADEView().mirrors
    assert not Plain().mirrors
