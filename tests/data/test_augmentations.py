"""What every augmentation owes, and how often it does what."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as reference

import ltr.data.transforms
from ltr.contracts import Transform
from ltr.data import (
    AutoAugment,
    ColorJitter,
    Compose,
    CropFlip,
    Cutout,
    MultiView,
    Plain,
    RandAugment,
    ResizedCrop,
    Rotation,
    SADEView,
    SimCLRView,
)
from ltr.data.transforms import colours
from ltr.data.transforms.crops import boxes
from ltr.data.transforms.operations import NAMES, operate

RANDOM = [AutoAugment, ColorJitter, CropFlip, Cutout, RandAugment, ResizedCrop, Rotation, SADEView, SimCLRView]
every_transform = pytest.mark.parametrize("kind", RANDOM, ids=lambda kind: kind.__name__)


def images(size: int = 64, height: int = 16, width: int = 20) -> Tensor:
    """Draw uint8 images."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (size, 3, height, width), dtype=torch.uint8, generator=generator)


def test_every_transform_is_tested() -> None:
    kinds = [value for value in vars(ltr.data.transforms).values() if inspect.isclass(value)]
    assert {*RANDOM, Compose, Plain, MultiView} == set(kinds)


@every_transform
@pytest.mark.parametrize("size", [1, 64])
def test_shape_and_type(kind: type[Transform], size: int) -> None:
    batch = images(size)
    found = kind()(batch)
    assert found.shape == batch.shape
    assert found.dtype == torch.uint8
    assert torch.equal(batch, images(size)), "the batch is left as it was"


@every_transform
def test_the_global_generator_decides(kind: type[Transform]) -> None:
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(kind()(images()))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@every_transform
def test_images_differ_in_what_happens_to_them(kind: type[Transform]) -> None:
    same = images(1).expand(64, -1, -1, -1)
    found = kind()(same)
    assert len(found.flatten(1).unique(dim=0)) > 20


@every_transform
def test_is_documented(kind: type[Transform]) -> None:
    assert "Reference:" in (inspect.getdoc(kind) or "")


def test_cutout_one_image_at_a_time() -> None:
    batch = images()
    torch.manual_seed(2)
    found = Cutout(8)(batch)
    torch.manual_seed(2)
    rows, columns = torch.randint(16, (64, 1)), torch.randint(20, (64, 1))
    for image, row, column, result in zip(batch, rows.tolist(), columns.tolist(), found, strict=True):
        expected = image.clone()
        top, left = max(row[0] - 4, 0), max(column[0] - 4, 0)
        expected[:, top : row[0] + 4, left : column[0] + 4] = 0
        assert torch.equal(result, expected)


def test_rotations_are_uniform_up_to_the_largest() -> None:
    batch = images()
    torch.manual_seed(2)
    found = Rotation(15)(batch)
    torch.manual_seed(2)
    angles = torch.empty(64).uniform_(-15, 15)
    for image, angle, result in zip(batch, angles.tolist(), found, strict=True):
        assert (result == reference.rotate(image, angle)).double().mean() > 0.99


def test_auto_augment_applies_its_policy() -> None:
    batch = images()
    torch.manual_seed(2)
    policy = AutoAugment()
    found = policy(batch)
    torch.manual_seed(2)
    pairs, luck, signs = torch.randint(25, (64,)), torch.rand(64, 2), torch.randint(2, (64, 2))
    for number, (image, result) in enumerate(zip(batch, found, strict=True)):
        expected = image[None]
        for step in range(2):
            if luck[number, step] < policy.chances[pairs[number], step]:
                sign = 1 if signs[number, step] else -1
                kind, level = policy.kinds[pairs[number], step], policy.levels[pairs[number], step]
                expected = operate(expected, kind[None], sign * level[None])
        assert torch.equal(result, expected[0])


def test_auto_augment_fills_with_grey_where_asked() -> None:
    found = []
    for fill in (0, 128):
        torch.manual_seed(2)
        found.append(AutoAugment(fill)(torch.full((64, 3, 8, 8), 255, dtype=torch.uint8)))
    assert not torch.equal(*found)


def test_rand_augment_draws_every_operation_but_one_equally_often() -> None:
    torch.manual_seed(2)
    batch = images(1, 12, 12)
    found = RandAugment(1, 9)(batch.expand(7000, -1, -1, -1))
    inverted = 255 - batch
    assert not (found == inverted).flatten(1).all(1).any()
    for name in ("ShearX", "TranslateY", "Color"):
        kind = torch.tensor([NAMES.index(name)])
        both = [operate(batch, kind, torch.tensor([level])) for level in (0.3, -0.3)]
        for one in both:
            hits = (found == one).flatten(1).all(1).sum()
            assert abs(hits - 250) < 4 * 250**0.5


def test_jitter_without_strength_is_the_identity() -> None:
    assert torch.equal(ColorJitter(0, 0, 0, 0)(images()), images())


def test_jitter_stays_within_its_factors() -> None:
    grey = torch.full((2000, 3, 2, 2), 100, dtype=torch.uint8)
    levels = ColorJitter(0.4, 0, 0, 0)(grey)[:, 0, 0, 0].float()
    assert levels.min() >= 59
    assert levels.max() <= 140
    assert abs(levels.mean() - 99.5) < 4 * 23.1 / 2000**0.5


def test_boxes_are_within_the_image_and_of_the_right_area() -> None:
    starts, sizes = boxes(images(4000, 32, 32), 0.2)
    assert (starts >= 0).all()
    assert (starts + sizes <= 32).all()
    areas = sizes.prod(1) / 32**2
    assert areas.min() > 0.18
    assert 0.5 < areas.mean() < 0.6
    ratios = sizes[:, 1] / sizes[:, 0]
    assert ratios.min() > 0.7
    assert ratios.max() < 1.43


def test_a_crop_may_have_another_size() -> None:
    torch.manual_seed(0)
    batch = images(4, 24, 24)
    assert ResizedCrop(16)(batch).shape == (4, 3, 16, 16)
    whole = ResizedCrop(scale=1.0, flip=False)(batch)
    assert all(
        torch.equal(found, image) for found, image in zip(whole, batch, strict=True) if found.shape == image.shape
    )


def test_a_box_that_never_fits_is_the_whole_image() -> None:
    starts, sizes = boxes(images(50, 8, 64), 1.0)
    assert (starts == 0).all()
    assert (sizes == torch.tensor([8, 64])).all()


def test_a_view_is_grey_as_often_as_it_should_be() -> None:
    torch.manual_seed(0)
    found = SimCLRView()(images(2000, 8, 8))
    grey = (found == found[:, :1]).flatten(1).all(1).sum()
    assert abs(grey - 400) < 4 * (2000 * 0.2 * 0.8) ** 0.5


@pytest.mark.parametrize(("blur", "blurred"), [(0.0, 0), (0.5, 1000), (1.0, 2000)])
def test_a_view_is_blurred_as_often_as_is_said(blur: float, blurred: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(colours, "blur", lambda part, _: sizes.append(len(part)) or part)
    torch.manual_seed(0)
    SimCLRView(blur=blur)(images(2000, 8, 8))
    assert abs(sum(sizes) - blurred) <= 4 * (2000 * blur * (1 - blur)) ** 0.5


def test_a_chain_keeps_the_order() -> None:
    torch.manual_seed(3)
    found = Compose([CropFlip(), Cutout(4)])(images())
    torch.manual_seed(3)
    assert torch.equal(found, Cutout(4)(CropFlip()(images())))
    assert torch.equal(Compose([Plain()])(images()), images())
