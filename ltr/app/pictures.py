"""Images that somebody uploads, as a network is shown them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ltr.data.images import decode
from ltr.errors import InputError

MOST = 32  # at once
PIXELS = 50_000_000  # of one image, which is 150 MB once it is decoded
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # PIL knows more, some of which start programs
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class Pictures(NamedTuple):
    """Images that could be read, and what is wrong with the others.

    Attributes:
        images: (B, 3, size, size) uint8.
        names: of their files.
        refused: a sentence on each of the others.
    """

    images: Tensor
    names: list[str]
    refused: list[str]


def pictures(paths: Sequence[Path], size: int) -> Pictures:
    """Read image files as the images of a set are read.

    Args:
        paths: the files.
        size: height and width in pixels to which the middle square of every image is brought.

    Raises:
        InputError: where there are too many.
    """
    if len(paths) > MOST:
        raise InputError(f"these are {len(paths)} images: ask about {MOST} at once at most.")
    images, names, refused = [], [], []
    for path in paths:
        try:
            images.append(picture(path, size))
            names.append(path.name)
        except InputError as error:
            refused.append(str(error))
    return Pictures(torch.stack(images) if images else torch.empty(0, 3, size, size), names, refused)


def picture(path: Path, size: int) -> Tensor:
    """Read an image file as (3, size, size) uint8, its header first.

    Raises:
        InputError: where it is damaged, no image, or too large.
    """
    broken = f"{path.name} is damaged or no image (PNG, JPEG, WebP, GIF, BMP, TIFF or PPM): save it anew."
    try:
        with Image.open(path, formats=FORMATS) as file:
            width, height = file.size
    except BOMBS as error:
        raise InputError(f"{path.name} has too many pixels: make it smaller than {PIXELS:,} of them.") from error
    except Exception as error:  # a damaged header makes PIL raise almost anything
        raise InputError(broken) from error
    if width * height > PIXELS:
        raise InputError(
            f"{path.name} has {width} x {height} pixels: make it smaller, {PIXELS:,} of them are the most."
        )
    try:
        return decode(str(path), size)
    except InputError as error:
        raise InputError(broken) from error
