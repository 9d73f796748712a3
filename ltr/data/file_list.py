"""The images of a split by name, before any of them is read, and the words that name splits and classes."""

from __future__ import annotations

import csv
import itertools
import os
import re
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ltr import files
from ltr.counts import number
from ltr.data.images import KINDS, Source
from ltr.errors import InputError
from ltr.sentences import first

HEAD = ["image", "split"]  # of the file in which a drawn split is kept
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
SPLITS |= {"test": "test", "testing": "test"}
FILLERS = {"data", "dataset", "files", "image", "images", "img", "imgs", "labels", "photos", "pictures", "set", "split"}
DIGITS = 19  # of the largest number of 63 bits


class FileList(NamedTuple):
    """The images of a split.

    Attributes:
        sources: the path of each image, or the bytes of the file.
        labels: (N,) class indices.
        names: a name for each image that does not change when the set is moved.
    """

    sources: Sequence[Source]
    labels: NDArray[np.int64]
    names: Sequence[str]

    def take(self, where: NDArray[np.int64]) -> FileList:
        """Return the images at some positions."""
        return FileList([self.sources[at] for at in where], self.labels[where], [self.names[at] for at in where])

    def counts(self, classes: int) -> list[int]:
        """Return how many images of every class there are."""
        counts: list[int] = np.bincount(self.labels, minlength=classes).tolist()
        return counts

    @property
    def paths(self) -> list[str]:
        """The paths of the images; empty if they are not files."""
        return [source for source in self.sources if isinstance(source, str)] if isinstance(self.sources, list) else []

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(N,) numbers for the fingerprint: the names if they are distinct numbers, else hashes of the names.

        `ltr convert` names files by their positions, so a converted set keeps the fingerprint of the original.
        """
        stems = [PurePosixPath(name).stem for name in self.names]
        if all(stem.isascii() and stem.isdecimal() and len(stem) <= DIGITS for stem in stems):
            numbers = [int(stem) for stem in stems]
            if len(set(numbers)) == len(numbers) and max(numbers, default=0) < 2**63:
                return np.array(numbers, dtype=np.int64)
        return np.array([number(name.encode()) for name in self.names], dtype=np.int64)


def split_of(name: str) -> str | None:
    """Return the split that a folder or a table is named for, such as `Training` or `test_images2017`, or None."""
    words = [word for word in re.findall("[a-z]+", name.lower()) if word not in FILLERS]
    return SPLITS.get(words[0]) if len(words) == 1 else None


def readable_name(name: str) -> str:
    r"""Return a name as text that any file can hold: composed Unicode; bytes that are not UTF-8 as `\xe9`."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def class_order(names: Iterable[str]) -> list[str]:
    """Return the names of classes in the order of the numbers that they are, or else alphabetically.

    Raises:
        InputError: if two names are the same number, such as `1` and `1.0`.
    """
    values = {name: numeric(name) for name in names}
    numbers = [value for value in values.values() if value is not None]
    if len(numbers) < len(values):
        return sorted(values)
    ordered = sorted(values, key=lambda name: (values[name], name))
    for name, following in itertools.pairwise(ordered):
        if values[name] == values[following]:
            raise InputError(f"the labels {name} and {following} are the same number: write them alike.")
    return ordered


def numeric(name: str) -> float | None:
    """Return the number that a name is, such as `-1` or `2.0`, or None."""
    return float(name) if len(name) <= DIGITS and re.fullmatch(r"[+-]?\d+(\.\d*)?", name) else None


def class_folders(folder: Path) -> dict[str, list[str]]:
    """Return the images of every class, classes in their order, images in that of their paths.

    Links to folders are followed, each folder once per class. Hidden files and folders are left out.

    Raises:
        InputError: if classes have no image.
    """
    images: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not hidden(path.name):
            images.setdefault(readable_name(path.name), []).extend(images_below(path))
    empty = [name for name, paths in images.items() if not paths]
    if empty:
        raise InputError(
            f"{folder} has folders without an image ({', '.join(sorted(KINDS))}): {first(empty)}. Add some, or remove "
            "them."
        )
    return {name: sorted(images[name]) for name in class_order(images)}


def check_folder_names(classes: Iterable[str], remedy: str) -> None:
    """Raise `InputError` if no folder can have the name of a class.

    Args:
        classes: the names.
        remedy: what to do then, for the error.
    """
    if bad := next((name for name in classes if "/" in name or os.sep in name or name.startswith(".")), None):
        raise InputError(f"no folder can have the name of the class {bad!r}: {remedy}.")


def images_below(folder: Path) -> list[str]:
    """Return the paths of the images in a folder and in the folders below it."""
    paths: list[str] = []
    visited: set[str] = set()  # a link may lead back to a folder above
    for parent, folders, names in os.walk(folder, followlinks=True):
        if (actual := os.path.realpath(parent)) in visited:
            folders.clear()
            continue
        visited.add(actual)
        folders[:] = [name for name in folders if not hidden(name)]
        paths += [os.path.join(parent, name) for name in names if is_image(name)]
    return paths


def is_image(name: str) -> bool:
    """Return whether a file is an image by its ending, and neither hidden nor being written."""
    return os.path.splitext(name)[1].lower() in KINDS and not hidden(name)


def hidden(name: str) -> bool:
    """Return whether a file or folder is one that a system or an editor keeps for itself."""
    return name.startswith(".") or name == "__MACOSX"


def listed(images: Mapping[str, list[str]], classes: Sequence[str], root: Path) -> FileList:
    """Return the images of all classes as one list.

    Args:
        images: paths by class.
        classes: the classes in order.
        root: folder that the names are relative to.
    """
    sources = [path for name in classes for path in images.get(name, [])]
    labels = np.repeat(np.arange(len(classes)), [len(images.get(name, [])) for name in classes])
    names = [readable_name(Path(path).relative_to(root).as_posix()) for path in sources]
    return FileList(sources, labels, names)


def divided(
    images: FileList, classes: Sequence[str], path: Path | None, *, share: float, seed: int
) -> dict[str, FileList]:
    """Split a set, class by class, into `train` and `test`.

    If the file of an earlier split exists, it decides. Images that it does not name were added later and are for
    training, so no image that was trained on is ever tested on. A split is drawn for a class that is new to it.

    Args:
        images: all images.
        classes: names of the classes.
        path: file of an earlier split; None if none is kept.
        share: fraction of every class for testing, at least one image; 1 for all, with none to train on.
        seed: of the draw.

    Raises:
        InputError: if a class has only one image, or the file is damaged or of other images.
    """
    if share == 1:
        return {"test": images}
    kept = read_split(path) if path and path.is_file() else {}
    names = [files.cell(name) for name in images.names]  # as the file has them
    testing = np.array([kept.get(name) == "test" for name in names])
    known = np.unique(images.labels[[name in kept for name in names]])
    if kept and not len(known):
        raise InputError(
            f"{path} names no image of this set. If it is for another set, test on all images with "
            "`--data.test_share 1` or name another file with `--data.test_split`; else delete it, and a split is drawn "
            "anew."
        )
    counts = images.counts(len(classes))
    new = [label for label in range(len(classes)) if label not in known]
    lonely = [classes[label] for label in new if counts[label] == 1]
    if lonely:
        raise InputError(
            f"there is only one image of class {first(lonely)}, and each class needs one to train and another to test "
            "on: add some, or remove the class."
        )
    if kept and new:
        warnings.warn(
            f"{path} names no image of class {first([classes[label] for label in new])}: test images of it are drawn.",
            stacklevel=2,
        )
    generator = np.random.RandomState(seed)
    for label in new:
        positions = np.flatnonzero(images.labels == label)
        chosen = generator.permutation(len(positions))[: min(max(round(share * len(positions)), 1), len(positions) - 1)]
        testing[positions[chosen]] = True
    return {"train": images.take(np.flatnonzero(~testing)), "test": images.take(np.flatnonzero(testing))}


def read_split(path: Path) -> dict[str, str]:
    """Return the splits of images by their names, those that look like a formula as `files.cell` writes them.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    whole = bool(rows) and rows[0] == HEAD and all(len(row) == len(HEAD) for row in rows)
    if not whole or not {split for _, split in rows[1:]} <= {"train", "test"}:
        raise InputError(f"{path} is damaged or not a split that was kept: delete it, and a split is drawn anew.")
    return dict(rows[1:])


def named(path: Path, images: FileList) -> bool:
    """Return whether the file of a split is there and names all of some images."""
    return path.is_file() and {*map(files.cell, images.names)} <= read_split(path).keys()


def keep(path: Path, splits: Mapping[str, FileList]) -> None:
    """Write a split to a file, with a warning if that fails; images that are missing at present stay in it."""
    names = read_split(path) if path.is_file() else {}
    names |= {files.cell(name): split for split, images in splits.items() for name in images.names}
    try:
        files.write_csv(path, [dict(zip(HEAD, row, strict=True)) for row in names.items()])
    except InputError:
        warnings.warn(f"the split could not be kept in {path}: add no image to the set while you use it.", stacklevel=2)
