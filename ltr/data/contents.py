"""Hashes of the content of images, independent of their names and folders."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from ltr.counts import number
from ltr.data.images import ImageFiles, Source, each, open_file

# Bytes that are hashed. Those of a larger file are from its middle, and its length is added: equal compressed images
# are recognised without reading a set of a hundred gigabytes.
BLOCK = 2**14


def contents(images: Tensor | ImageFiles, what: str) -> Tensor:
    """Return (N,) int64 numbers, equal for images of equal pixels in memory, and for equal files.

    An image in memory and the same image in a file differ, as do two encodings of one image.

    Args:
        images: (N, 3, H, W) uint8, or files.
        what: label of the progress bar.

    Raises:
        InputError: for a file that cannot be read.
    """
    if isinstance(images, Tensor):
        return torch.tensor([number(pixels.tobytes()) for pixels in images.cpu().numpy()], dtype=torch.int64)
    files = images
    return torch.tensor(each(lambda position: of_file(files.source(position)), len(files), what), dtype=torch.int64)


def of_file(source: Source) -> int:
    """Return the number of a file, from its path or its bytes."""
    with open_file(source) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - BLOCK, 0) // 2)
        content = file.read(BLOCK)
    return number(content if size <= BLOCK else size.to_bytes(8, "little") + content)
