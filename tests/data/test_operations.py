"""Each operation on a batch, against torchvision on one image at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms import AutoAugmentPolicy, v2
from torchvision.transforms.v2 import functional as reference

from ltr.data.transforms import auto_augment, colours
from ltr.data.transforms.crops import crop_resize
from ltr.data.transforms.operations import COLOURS, MOVES, NAMES, operate
from ltr.data.transforms.warp import rotation, warp

SIZE = 24
LEVELS = torch.linspace(-1, 1, SIZE)


def pictures(size: int = SIZE, height: int = 32, width: int = 28) -> Tensor:
    """Draw smooth uint8 images with noise on them, a flat one and one of two levels among them."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(size, 3, 5, 5, generator=generator) * 255
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    noise = 20 * torch.randn(smooth.shape, generator=generator)
    images = (smooth + noise).clamp(0, 255).to(torch.uint8)
    images[3] = 77
    images[4] = (images[4] > 128) * 9 + 40
    return images


IMAGES = pictures()
HEIGHT, WIDTH = IMAGES.shape[2:]


def affine(image: Tensor, x: float, y: float, shear_x: float, shear_y: float) -> Tensor:
    """Return torchvision's affine transform as its AutoAugment calls it."""
    return reference.affine(
        image,
        angle=0.0,
        translate=[int(x), int(y)],
        scale=1.0,
        shear=[math.degrees(math.atan(shear_x)), math.degrees(math.atan(shear_y))],
        center=[0, 0] if shear_x or shear_y else None,
    )


ONE: dict[str, Callable[[Tensor, float], Tensor]] = {
    "Identity": lambda image, _: image,
    "ShearX": lambda image, level: affine(image, 0, 0, 0.3 * level, 0),
    "ShearY": lambda image, level: affine(image, 0, 0, 0, 0.3 * level),
    "TranslateX": lambda image, level: affine(image, 150 / 331 * WIDTH * level, 0, 0, 0),
    "TranslateY": lambda image, level: affine(image, 0, 150 / 331 * HEIGHT * level, 0, 0),
    "Rotate": lambda image, level: reference.rotate(image, 30 * level),
    "Brightness": lambda image, level: reference.adjust_brightness(image, 1 + 0.9 * level),
    "Color": lambda image, level: reference.adjust_saturation(image, 1 + 0.9 * level),
    "Contrast": lambda image, level: reference.adjust_contrast(image, 1 + 0.9 * level),
    "Sharpness": lambda image, level: reference.adjust_sharpness(image, 1 + 0.9 * level),
    "Posterize": lambda image, level: reference.posterize(image, 8 - round(4 * abs(level))),
    "Solarize": lambda image, level: reference.solarize(image, 255 * (1 - abs(level))),
    "AutoContrast": lambda image, _: reference.autocontrast(image),
    "Equalize": lambda image, _: reference.equalize(image),
    "Invert": lambda image, _: reference.invert(image),
}


def close(found: Tensor, expected: Tensor, levels: int) -> bool:
    """Tell whether no pixel differs by more than so many levels."""
    return bool((found.int() - expected.int()).abs().max() <= levels)


def test_there_is_a_reference_for_every_operation() -> None:
    assert set(ONE) == set(NAMES)


@pytest.mark.parametrize("name", list(COLOURS))
def test_a_change_of_colour(name: str) -> None:
    found = operate(IMAGES, torch.full((SIZE,), NAMES.index(name)), LEVELS)
    expected = torch.stack([ONE[name](image, float(level)) for image, level in zip(IMAGES, LEVELS, strict=True)])
    exact = name in ("Posterize", "Solarize", "Equalize", "Invert")
    assert close(found, expected, 0 if exact else 1)
    # In float32, torchvision's AutoContrast cuts some exact levels to the one below.
    assert (found == expected).double().mean() > (0.97 if name == "AutoContrast" else 0.99)
    assert found.dtype == torch.uint8


@pytest.mark.parametrize("name", MOVES)
def test_a_move(name: str) -> None:
    found = operate(IMAGES, torch.full((SIZE,), NAMES.index(name)), LEVELS)
    expected = torch.stack([ONE[name](image, float(level)) for image, level in zip(IMAGES, LEVELS, strict=True)])
    # A position half-way between two pixels may be rounded to either.
    assert (found == expected).double().mean() > 0.998


@pytest.mark.parametrize("name", MOVES)
def test_a_move_fills_with_the_given_value(name: str) -> None:
    kinds = torch.full((SIZE,), NAMES.index(name))
    found, black = operate(IMAGES, kinds, LEVELS, fill=128), operate(IMAGES, kinds, LEVELS)
    outside = operate(torch.full_like(IMAGES, 255), kinds, LEVELS) == 0
    assert outside.any()
    assert torch.equal(found, black.where(~outside, 128))


def test_each_image_has_its_own_operation() -> None:
    kinds = torch.arange(SIZE) % len(NAMES)
    found = operate(IMAGES, kinds, LEVELS)
    for image, kind, level, result in zip(IMAGES, kinds.tolist(), LEVELS.tolist(), found, strict=True):
        expected = ONE[NAMES[kind]](image, level)
        assert (result == expected).double().mean() > 0.98
    assert torch.equal(IMAGES, pictures()), "the batch is left as it was"


def test_a_rotation_turns_counter_clockwise() -> None:
    image = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    image[0, 0, 2, 4] = 9
    turned = warp(image, rotation(torch.tensor([90.0])))
    assert turned[0, 0, 0, 2] == 9
    assert turned.sum() == 9


def test_the_hue() -> None:
    turns = torch.linspace(-0.5, 0.5, SIZE)
    found = colours.hue(IMAGES, turns)
    expected = torch.stack(
        [reference.adjust_hue(image, float(turn)) for image, turn in zip(IMAGES, turns, strict=True)]
    )
    assert close(found, expected, 1)


def test_grey() -> None:
    assert torch.equal(colours.grey(IMAGES).to(torch.uint8), reference.rgb_to_grayscale(IMAGES))


def test_the_blur() -> None:
    sigmas = torch.linspace(0.1, 2, SIZE)
    found = colours.blur(IMAGES, sigmas)
    expected = [reference.gaussian_blur(image, [9, 9], [float(s)] * 2) for image, s in zip(IMAGES, sigmas, strict=True)]
    assert close(found, torch.stack(expected), 1)


@pytest.mark.parametrize("side", [None, 9, 40])
def test_a_crop_is_resized_as_if_nothing_lay_around_it(side: int | None) -> None:
    whole = torch.tensor([HEIGHT, WIDTH])
    sizes = (5 + torch.rand(SIZE, 2) * (whole - 4)).long()
    starts = (torch.rand(SIZE, 2) * (whole - sizes + 1)).long()
    found = crop_resize(IMAGES, starts, sizes, side)
    for image, start, size, result in zip(IMAGES, starts.tolist(), sizes.tolist(), found, strict=True):
        expected = reference.resized_crop(image, *start, *size, [side or HEIGHT, side or WIDTH], antialias=False)
        assert close(result, expected, 1)


def test_the_policy_is_that_of_the_paper() -> None:
    expected = v2.AutoAugment(AutoAugmentPolicy.CIFAR10)._get_policies(AutoAugmentPolicy.CIFAR10)
    found = auto_augment.AutoAugment()
    assert len(found.kinds) == len(expected) == 25
    for row, pair in enumerate(expected):
        for column, (name, chance, level) in enumerate(pair):
            assert NAMES[found.kinds[row, column]] == name
            assert found.chances[row, column] == pytest.approx(chance)
            assert found.levels[row, column] == pytest.approx((level or 0) / 9)
