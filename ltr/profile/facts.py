"""What an image is, before it is brought to the size of the others."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ltr.data.images import ImageFiles, Source, decode, each
from ltr.errors import InputError


class Facts(NamedTuple):
    """What an image is.

    Attributes:
        digest: sha256 of the file, or of the pixels of an image in memory.
        width: in pixels, as it is stored.
        height: in pixels, as it is stored.
        kind: format and mode, such as `JPEG RGB`.
    """

    digest: bytes
    width: int
    height: int
    kind: str


def examine(images: Tensor | ImageFiles, what: str) -> list[Facts | None]:
    """Return what every image is, None where it cannot be read.

    Args:
        images: (N, 3, H, W) uint8, or files.
        what: shown beside the progress.
    """
    if isinstance(images, Tensor):
        held = images
        return each(lambda position: of_pixels(held[position]), len(held), what)
    files = images
    return each(lambda position: of_file(files.source(position)), len(files), what)


def of_file(source: Source) -> Facts | None:
    """Return what a file is, None where it is no image that can be read to its end."""
    from PIL import Image

    try:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        decode(content, 8)
        with Image.open(io.BytesIO(content)) as file:
            return Facts(hashlib.sha256(content).digest(), *file.size, f"{file.format} {file.mode}")
    except (OSError, InputError):
        return None


def of_pixels(image: Tensor) -> Facts:
    """Return what an image (3, H, W) in memory is."""
    height, width = image.shape[1:]
    return Facts(hashlib.sha256(image.numpy().tobytes()).digest(), width, height, "in memory")
