"""Image files, decoded on access."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ltr.errors import InputError
from ltr.machine import cores

KINDS = {".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
Source = str | bytes
T = TypeVar("T")


class ImageFiles(Dataset[Tensor]):
    """Images that are files, each resized as it is read.

    Args:
        sources: the path of each image, or the bytes of the file.
        size: height and width in pixels.
        positions: which of the sources; all where none are given.
    """

    def __init__(self, sources: Sequence[Source], size: int, positions: NDArray[np.int64] | None = None) -> None:
        self.sources, self.size = sources, size
        self.positions = np.arange(len(sources)) if positions is None else positions
        self.shape = torch.Size([len(self.positions), 3, size, size])

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, where: NDArray[np.int64]) -> ImageFiles:
        """Return the images at some positions, not yet read."""
        return ImageFiles(self.sources, self.size, self.positions[where])

    def followed_by(self, others: Sequence[Source]) -> ImageFiles:
        """Return these images and others behind them, not yet read."""
        positions = np.concatenate([self.positions, len(self.sources) + np.arange(len(others))])
        return ImageFiles(Joined(self.sources, others), self.size, positions)

    def to(self, device: torch.device) -> ImageFiles:
        """Return the same: files are on no device."""
        return self

    def source(self, position: int) -> Source:
        """Return the path of an image, or the bytes of its file."""
        return self.sources[int(self.positions[position])]

    def __getitem__(self, positions: Tensor | slice) -> Tensor:
        """Read images (B, 3, size, size) uint8.

        Raises:
            InputError: if a file is no readable image.
        """
        chosen = torch.arange(len(self))[positions].tolist()
        return torch.stack([decode(self.source(position), self.size) for position in chosen])

    def read(self, what: str) -> Tensor:
        """Read all images at once, (N, 3, size, size) uint8.

        Args:
            what: label of the progress bar.

        Raises:
            InputError: if files are no readable images; it names them.
        """
        images = torch.empty(self.shape, dtype=torch.uint8)

        def fill(position: int) -> str | None:
            return failure(lambda: images[position].copy_(decode(self.source(position), self.size)))

        failures = list(filter(None, each(fill, len(self), what)))
        if failures:
            others = f" There are {len(failures) - 1} more such files." if len(failures) > 1 else ""
            raise InputError(failures[0] + others)
        return images


def unreadable(sources: Sequence[Source], what: str) -> list[int]:
    """Return the positions of the files that are no readable images.

    Args:
        sources: their paths, or their bytes.
        what: label of the progress bar.
    """
    failures = each(lambda position: failure(lambda: decode(sources[position], 8)), len(sources), what)
    return [position for position, found in enumerate(failures) if found]


class Joined(Sequence[Source]):
    """Two sequences of files, one behind the other.

    Args:
        first: one.
        second: the other.
    """

    def __init__(self, first: Sequence[Source], second: Sequence[Source]) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, position: Any) -> Any:
        """Return the path of an image, or the bytes of its file."""
        return self.first[position] if position < len(self.first) else self.second[position - len(self.first)]


def opened(source: Source) -> PathLike[str] | io.BytesIO:
    """Return what PIL opens."""
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source)


def decode(source: Source, size: int) -> Tensor:
    """Read an image as (3, size, size) uint8: upright, in colour, its middle square resized.

    Grey values of 16 bits or more are scaled to 8 bits, and transparency is dropped.

    Raises:
        InputError: if the file is no readable image.
    """
    from PIL import Image

    try:
        with Image.open(opened(source)) as file:
            file.draft("RGB", (size, size))  # a JPEG is decoded at a fraction of its size where that is enough
            return fitted(file, size)
    except Exception as error:  # a damaged file makes PIL raise almost anything, `struct.error` among it
        what = source if isinstance(source, str) else "an image of the set"
        raise InputError(
            f"{what} is damaged or no image: repair or remove it, or leave such files out with `--data.unreadable "
            "skip`."
        ) from error


def fitted(image: Any, size: int) -> Tensor:
    """Return a PIL image as (3, size, size) uint8: upright, in colour, its middle square resized."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    image = grey8(image) if image.mode[0] in "IF" else image
    square = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def grey8(image: Any) -> Any:
    """Return a grey image of 16 or 32 bits, or of numbers from 0 to 1, as one of 8 bits."""
    from PIL import Image

    values = np.asarray(image, dtype=np.float64) * (255 if image.mode == "F" else 255 / 65535)
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def each(act: Callable[[int], T], size: int, what: str) -> list[T]:
    """Do something for every position, in threads and with progress.

    Args:
        act: what to do.
        size: how many positions.
        what: label of the progress bar.
    """
    from tqdm import tqdm

    with ThreadPoolExecutor(cores()) as pool:  # more threads would wait for each other
        return list(tqdm(pool.map(act, range(size)), what, size, disable=None, leave=False))


def failure(act: Callable[[], object]) -> str | None:
    """Return the message of an `InputError` that a call raises, None without one."""
    try:
        act()
    except InputError as error:
        return str(error)
    return None
