"""Image files, decoded on access."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ltr.errors import InputError
from ltr.machine import cores
from ltr.preprocessing import Interpolation
from ltr.run import verified_files
from ltr.sentences import plural

KINDS = {
    *(".apng", ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png"),
    *(".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
}
WHITES = {"F": (1, 255, 4095, 65535), "I": (255, 4095, 65535), "I;16": (4095, 65535)}  # by the mode of the file
DECODING = 2  # a new number when `decode` gives other pixels, so that cached ones are decoded again
Source = str | bytes
T = TypeVar("T")


class ImageFiles(Dataset[Tensor]):
    """Images that are files, each resized as it is read.

    Args:
        sources: the path of each image, or the bytes of the file.
        size: height and width in pixels.
        positions: which of the sources; all where none are given.
        interpolation: how an image is resized.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        size: int,
        positions: NDArray[np.int64] | None = None,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        self.sources, self.size, self.interpolation = sources, size, interpolation
        self.positions = np.arange(len(sources)) if positions is None else positions
        self.shape = torch.Size([len(self.positions), 3, size, size])

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, where: NDArray[np.int64]) -> ImageFiles:
        """Return the images at some positions, not yet read."""
        return ImageFiles(self.sources, self.size, self.positions[where], self.interpolation)

    def followed_by(self, others: Sequence[Source]) -> ImageFiles:
        """Return these images and others behind them, not yet read."""
        positions = np.concatenate([self.positions, len(self.sources) + np.arange(len(others))])
        return ImageFiles(Joined(self.sources, others), self.size, positions, self.interpolation)

    def to(self, device: torch.device) -> ImageFiles:
        """Return the same: files are on no device."""
        return self

    def source(self, position: int) -> Source:
        """Return the path of an image, or the bytes of its file."""
        return self.sources[int(self.positions[position])]

    def __getitem__(self, positions: Tensor | slice) -> Tensor:
        """Read images (B, 3, size, size) uint8.

        Raises:
            InputError: if a file is not a readable image.
        """
        chosen = torch.arange(len(self))[positions].tolist()
        return torch.stack([self.decoded(position) for position in chosen])

    def decoded(self, position: int) -> Tensor:
        """Read an image (3, size, size) uint8."""
        return decode(self.source(position), self.size, self.interpolation)

    def read(self, what: str, cache: Path | None = None) -> Tensor:
        """Read all images at once, (N, 3, size, size) uint8.

        Args:
            what: label of the progress bar.
            cache: folder in which the pixels are kept; any file in it can be deleted at any time. They are read from
                there unless time or size of an image has changed.

        Raises:
            InputError: if files are not readable images; it names them.
        """
        path = cache / f"{self.fingerprint}.pixels" if cache else None
        again = "the images are decoded again"
        if path and (cached := verified_files.read(path, self.shape, torch.uint8, again)) is not None:
            return cached
        images = torch.empty(self.shape, dtype=torch.uint8)

        def fill(position: int) -> str | None:
            return failure(lambda: images[position].copy_(self.decoded(position)))

        failures = list(filter(None, each(fill, len(self), what)))
        if failures:
            others = len(failures) - 1
            more = f" The same goes for {plural(others, 'more file')}." if others else ""
            raise InputError(failures[0] + more)
        if path:
            verified_files.write(path, images)
        return images

    @property
    def fingerprint(self) -> str:
        """A hash of size and interpolation of the images, and of path, length and time of each file."""
        digest = hashlib.sha256(f"{DECODING} {self.size} {self.interpolation}".replace(" bilinear", "").encode())
        for position in range(len(self)):
            source = self.source(position)
            if isinstance(source, str):
                try:
                    state = os.stat(source)
                except OSError as error:
                    raise InputError(f"{source} cannot be read ({error.strerror}): repair or remove it.") from error
                source = os.fsencode(f"{Path(source).resolve()}\0{state.st_size}\0{state.st_mtime_ns}\0")
            digest.update(source)
        return digest.hexdigest()[:32]


def unreadable(sources: Sequence[Source], what: str) -> list[int]:
    """Return the positions of the files that are not readable images.

    Args:
        sources: their paths, or their bytes.
        what: label of the progress bar.
    """
    failures = each(lambda position: failure(lambda: decode(sources[position], 8)), len(sources), what)
    return [position for position, message in enumerate(failures) if message]


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


def open_file(source: Source) -> io.BufferedReader | io.BytesIO:
    """Open the file of an image.

    Raises:
        InputError: if it cannot be read; what is not a regular file is not waited for.
    """
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        if os.path.exists(source) and not os.path.isfile(source):
            raise InputError(f"{source} is not a file, but a folder, a pipe or a device: remove it.")
        return Path(source).open("rb")
    except OSError as error:
        raise InputError(f"{source} cannot be read ({error.strerror}): repair or remove it.") from error


def decode(source: Source, size: int, interpolation: Interpolation = "bilinear") -> Tensor:
    """Read an image as (3, size, size) uint8: upright, in colour, its middle square resized.

    This is how every image is read, in training, tests and predictions. Transparency is dropped; see `grey8` for grey
    values of more than 8 bits.

    Args:
        source: path of an image, or the bytes of its file.
        size: height and width in pixels, for a network `preprocessing.size`.
        interpolation: how it is resized, for a network `preprocessing.interpolation`.

    Raises:
        InputError: if the file is not a readable image.
    """
    from PIL import Image

    what = source if isinstance(source, str) else "an image of the set"
    remedy = "or leave such files out with `--data.unreadable skip`"
    with open_file(source) as opened:
        try:
            with Image.open(opened) as file:
                file.draft("RGB", (size, size))  # a JPEG is decoded at a fraction of its size where that is enough
                return fitted(file, size, interpolation)
        except Image.DecompressionBombError as error:
            limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
            raise InputError(f"{what} has more than {limit:,} pixels: make it smaller, {remedy}.") from error
        except Exception as error:  # a damaged file makes PIL raise almost anything, `struct.error` among it
            raise InputError(f"{what} is damaged or not an image: repair or remove it, {remedy}.") from error


def fitted(image: Any, size: int, interpolation: Interpolation = "bilinear") -> Tensor:
    """Return a PIL image as (3, size, size) uint8: upright, in colour, its middle square resized."""
    from PIL import Image, ImageOps

    square = ImageOps.fit(upright(image), (size, size), Image.Resampling[interpolation.upper()])
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def upright(image: Any) -> Any:
    """Return a PIL image upright and in 8-bit red, green and blue."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    return (grey8(image) if image.mode[0] in "IF" else image).convert("RGB")


def grey8(image: Any) -> Any:
    """Return a grey image of more than 8 bits, or of floats, as one of 8 bits.

    Such a file does not say which value is white. It is taken to be the smallest of the usual ones that no value
    exceeds: 1 for floats, 255, 4095 (12 bits) or 65535.
    """
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    whites = WHITES.get(image.mode, WHITES["I;16"])
    white = next((white for white in whites if values.max() <= white), whites[-1])
    return Image.fromarray((values * (255 / white)).round().clip(0, 255).astype(np.uint8))


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
