"""The operations of AutoAugment and RandAugment, with one operation and level per image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltr.data.transforms import colours
from ltr.data.transforms.warp import rotation, warp

MOVES = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")

# From uint8 images (b, 3, H, W) and levels (b,) in [-1, 1] to uint8 images; some ignore the sign of the level.
COLOURS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Brightness": lambda images, levels: colours.brightness(images, 1 + 0.9 * levels),
    "Color": lambda images, levels: colours.saturation(images, 1 + 0.9 * levels),
    "Contrast": lambda images, levels: colours.contrast(images, 1 + 0.9 * levels),
    "Sharpness": lambda images, levels: colours.sharpness(images, 1 + 0.9 * levels),
    "Posterize": lambda images, levels: colours.posterize(images, 8 - (4 * levels.abs()).round()),
    "Solarize": lambda images, levels: colours.solarize(images, 255 * (1 - levels.abs())),
    "AutoContrast": lambda images, _: colours.auto_contrast(images),
    "Equalize": lambda images, _: colours.equalize(images),
    "Invert": lambda images, _: colours.invert(images),
}
NAMES = ("Identity", *MOVES, *COLOURS)


def operate(images: Tensor, kinds: Tensor, levels: Tensor, *, fill: int = 0) -> Tensor:
    """Apply one operation to each image.

    Args:
        images: (B, 3, H, W) uint8.
        kinds: (B,) positions in `NAMES`.
        levels: (B,) in [-1, 1].
        fill: the value of pixels that come in from outside an image.
    """
    images = images.clone()
    moved = ((kinds > 0) & (kinds <= len(MOVES))).nonzero()[:, 0]
    if len(moved):
        images[moved] = warp(images[moved], motions(kinds[moved], levels[moved], *images.shape[2:]), fill)
    for kind, change in enumerate(COLOURS.values(), start=1 + len(MOVES)):
        chosen = (kinds == kind).nonzero()[:, 0]
        if len(chosen):
            images[chosen] = change(images[chosen], levels[chosen])
    return images


def motions(kinds: Tensor, levels: Tensor, height: int, width: int) -> Tensor:
    """Return (B, 2, 3) the matrices of geometric operations, for `warp`.

    Shears are up to 0.3 and keep the upper or left edge in place, shifts up to 150/331 of the size in whole pixels, and
    rotations up to 30 degrees.
    """
    shear_x, shear_y, shift_x, shift_y, turn = (
        torch.where(kinds == kind, levels, 0.0) for kind in range(1, 1 + len(MOVES))
    )
    matrices = rotation(30 * turn)
    matrices[:, 0, 1] += 0.3 * shear_x
    matrices[:, 1, 0] += 0.3 * shear_y
    matrices[:, 0, 2] = 0.3 * shear_x * height / 2 - (150 / 331 * width * shift_x).trunc()
    matrices[:, 1, 2] = 0.3 * shear_y * width / 2 - (150 / 331 * height * shift_y).trunc()
    return matrices
