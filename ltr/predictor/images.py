"""The images that a network is asked to classify: files, a folder, a table, PIL images or tensors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ltr.data.file_list import images_below
from ltr.data.images import KINDS, decode, fitted
from ltr.data.locate import find, locate
from ltr.data.table_files import IMAGE, TABLES, named, read_table, text
from ltr.errors import InputError
from ltr.machine import cores
from ltr.preprocessing import Preprocessing

NAMES = (*IMAGE, "name", "images", "file_id")  # usual titles of the column that names the images
TITLE = "image"  # of that column in a submission, if no table gives one
Unreadable = Literal["refuse", "skip"]
Given = str | os.PathLike[str] | Image.Image | Tensor


class Images(NamedTuple):
    """Images and their names.

    Attributes:
        sources: the path of each image, the bytes of its file, a PIL image, or a tensor (3, H, W).
        names: a name for each of them.
        column: the title of the column of the first table that named some of them; "image" without a table.
    """

    sources: Sequence[Given | bytes]
    names: Sequence[str]
    column: str = TITLE

    @classmethod
    def of(cls, given: Given | Iterable[Given], *, column: str | None = None, folder: str | None = None) -> Images:
        """Return the images that were given.

        Args:
            given: paths of image files, of folders (with all images below them) and of tables, PIL images, or tensors
                (3, H, W); one or several. A tensor (B, 3, H, W) is B images.
            column: the column of a table that names its images; None for one of the usual titles.
            folder: the folder that a table's names are relative to; None for that of the table.

        Raises:
            InputError: if files or columns do not exist, or something of another kind was given.
        """
        several: Sequence[Any] = [given]
        if isinstance(given, Tensor):
            if given.dim() not in (3, 4):
                raise InputError(
                    f"tensors have the shape (B, 3, H, W) or (3, H, W); this one has {tuple(given.shape)}."
                )
            several = list(given) if given.dim() == 4 else several
        elif isinstance(given, Iterable) and not isinstance(given, str) and not _is_array(given):
            several = list(given)
        sources: list[Given | bytes] = []
        names: list[str] = []
        titles: list[str] = []
        for position, item in enumerate(several):
            if isinstance(item, Tensor) and item.dim() != 3:
                raise InputError(
                    f"each tensor of a list is one image (3, H, W), but image {position} has {tuple(item.shape)}: "
                    "pass a batch (B, 3, H, W) without a list."
                )
            if isinstance(item, Tensor | Image.Image):
                part = cls([item], [getattr(item, "filename", "") or f"image {position}"])
            elif isinstance(item, str) and not item:  # a variable that is not set; as a path, the current folder
                raise InputError(f"image {position} is an empty text: name a file, a folder or a table.")
            elif isinstance(item, str | os.PathLike):
                part = _below(Path(item), column, folder)
            else:
                raise InputError(
                    f"images are given as paths, PIL images or uint8 tensors; image {position} is a "
                    f"{type(item).__name__}" + (": pass `PIL.Image.fromarray` of it." if _is_array(item) else ".")
                )
            sources += part.sources
            names += part.names
            titles.append(part.column)
        return cls(sources, names, next((title for title in titles if title != TITLE), TITLE))

    def read(self, look: Preprocessing, batch: int) -> Iterator[tuple[range, list[Tensor | str]]]:
        """Yield the images batch by batch; files are decoded in threads.

        Args:
            look: of the network: it has size and interpolation.
            batch: images at once.

        Yields:
            The positions of a batch, and for each image its pixels (3, size, size) uint8, or why it cannot be read.
        """
        with ThreadPoolExecutor(cores()) as pool:
            for start in range(0, len(self.sources), batch):
                positions = range(start, min(start + batch, len(self.sources)))
                yield positions, [*pool.map(lambda at: _read(self.sources[at], look), positions)]


def _is_array(item: object) -> bool:
    """Return whether something is an array of numpy, or of another library that PIL reads."""
    return hasattr(item, "__array_interface__")


def _read(source: Given | bytes, look: Preprocessing) -> Tensor | str:
    """Return an image as (3, size, size) uint8, or the reason why it cannot be read.

    Raises:
        InputError: for a tensor of another kind.
    """
    if isinstance(source, Tensor):
        check(source[None], look.size)
        return source
    if isinstance(source, str | os.PathLike):
        if not os.path.exists(source):
            return "does not exist"
        if not os.path.isfile(source):  # reading a pipe would never end
            return "is not a regular file"
    try:
        if isinstance(source, Image.Image):
            return fitted(source, look.size, look.interpolation)
        return decode(source if isinstance(source, bytes) else os.fspath(source), look.size, look.interpolation)
    except (InputError, OSError, ValueError):
        return "is damaged or not an image"


def check(images: Tensor, size: int) -> None:
    """Raise `InputError` unless a tensor is images that a network takes.

    Args:
        images: the tensor.
        size: height and width in pixels that the network takes.
    """
    if images.dtype != torch.uint8:
        raise InputError(f"images are uint8 values from 0 to 255; these are {images.dtype}: do not normalise them.")
    if images.dim() != 4 or images.shape[1] != 3:
        raise InputError(f"images have the shape (B, 3, {size}, {size}); these have {tuple(images.shape)}.")
    if images.shape[2:] != (size, size):
        height, width = images.shape[2:]
        raise InputError(
            f"the network takes images of {size} x {size} pixels; these have {height} x {width}: give tensors of that "
            "size, or files or PIL images, which are resized."
        )


def _below(path: Path, column: str | None, folder: str | None) -> Images:
    """Return the images of a path: all below a folder, those that a table names, or the file."""
    if os.path.isdir(path):  # `path.is_dir()` raises an error if a name is too long
        files = sorted(images_below(path))
        if not files:
            raise InputError(f"{path} holds no image ({', '.join(sorted(KINDS))}): name another folder.")
        return Images(files, [Path(file).relative_to(path).as_posix() for file in files])
    if path.suffix.lower() in TABLES:
        return _listed(path, column, folder)
    return Images([str(path)], [str(path)])


def _listed(table: Path, column: str | None, folder: str | None) -> Images:
    """Return the images that a table names, whose names may lack their endings, or that a Parquet file contains.

    Raises:
        InputError: if the column is missing, or there is no file of any of the names.
    """
    columns = read_table(table)
    title = column if column in columns else None if column else named(columns, NAMES)
    if title is None:
        missing = f"no column {column}" if column else f"none of the columns {', '.join(NAMES)}"
        raise InputError(f"{table} has {missing}, but {', '.join(columns)}: name one of these with `--column`.")
    cells = columns[title]
    if any(isinstance(cell, bytes) for cell in cells):
        return Images([cell or b"" for cell in cells], [str(row) for row in range(len(cells))], title)
    names, home = [text(cell) for cell in cells], Path(folder) if folder else table.parent
    paths = find(names, home)
    if None in paths and folder is None:
        with suppress(InputError):  # a folder beside the table has them all
            paths = [*locate(names, home, table, split="test")]
    if not any(paths):
        raise InputError(f"{home} has none of the images that {table} names: pass their folder with `--folder`.")
    return Images([path or str(home / name) for path, name in zip(paths, names, strict=True)], names, title)
