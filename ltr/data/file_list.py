"""The images of a split by name, before any of them is read: which are missing, and which are for testing."""

from __future__ import annotations

import csv
import os
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ltr import files
from ltr.counts import number
from ltr.data.images import Source, each
from ltr.errors import InputError
from ltr.markdown import first

HEAD = ["image", "split"]


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
    def numbers(self) -> NDArray[np.int64]:
        """(N,) numbers for the fingerprint: the names if they are distinct numbers, else hashes of the names.

        `ltr convert` names files by their positions, so a converted set keeps the fingerprint of the original.
        """
        stems = [PurePosixPath(name).stem for name in self.names]
        if all(stem.isascii() and stem.isdecimal() for stem in stems):
            numbers = {int(stem) for stem in stems}
            if len(numbers) == len(stems) and max(numbers) < 2**63:
                return np.array([int(stem) for stem in stems], dtype=np.int64)
        return np.array([number(name.encode()) for name in self.names], dtype=np.int64)


def missing(home: Path, names: Sequence[str], what: str) -> list[int]:
    """Return the positions of the files that do not exist.

    Each folder is read once: for a million files that is faster than a system call for each of them.

    Args:
        home: folder that the names are relative to.
        names: paths of the files.
        what: label of the progress bar.
    """
    places = defaultdict(list)
    for position, name in enumerate(names):
        places[os.path.dirname(name)].append(position)
    folders = list(places)

    def absent(number: int) -> list[int]:
        there = entries(home / folders[number])
        return [position for position in places[folders[number]] if os.path.basename(names[position]) not in there]

    return sorted(chain.from_iterable(each(absent, len(folders), what)))


def entries(folder: Path) -> set[str]:
    """Return the names in a folder, an empty set if there is none."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def present(paths: Sequence[str], what: object) -> None:
    """Check that files exist.

    Args:
        paths: the files.
        what: the file that lists them.

    Raises:
        InputError: if some are missing.
    """
    absent = missing(Path(), paths, "folders")
    if absent:
        raise InputError(
            f"{len(absent)} of the {len(paths)} images that {what} lists are missing, the first is {paths[absent[0]]}: "
            "check the folder that the paths are relative to."
        )


def divided(
    listing: FileList, classes: Sequence[str], path: Path | None, *, share: float, seed: int
) -> dict[str, FileList]:
    """Split a set, class by class, into `train` and `test`.

    If the file of an earlier split exists, it decides. Images that it does not name were added later and are for
    training, so no image that was trained on is ever tested on.

    Args:
        listing: all images.
        classes: names of the classes.
        path: file of an earlier split; None if none is kept.
        share: fraction of every class for testing, at least one image.
        seed: of the draw.

    Raises:
        InputError: if a class has only one image, or the file is damaged.
    """
    if path and path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        if not rows or any(len(row) != len(HEAD) for row in rows) or rows[0] != HEAD:
            raise InputError(f"{path} is no split that was kept: delete it, and a split is drawn anew.")
        kept = {row[0]: row[1] for row in rows}
        testing = np.array([kept.get(name) == "test" for name in listing.names])
    else:
        testing = np.zeros(len(listing.names), dtype=bool)
        generator = np.random.RandomState(seed)
        lonely = [classes[label] for label, count in enumerate(np.bincount(listing.labels)) if count == 1]
        if lonely:
            raise InputError(
                f"there is but one image of class {first(lonely)}, and each needs one to train and another to test on: "
                "add some, or remove the class."
            )
        for label in range(len(classes)):
            positions = np.flatnonzero(listing.labels == label)
            chosen = generator.permutation(len(positions))[: max(round(share * len(positions)), 1)]
            testing[positions[chosen]] = True
    return {"train": listing.take(np.flatnonzero(~testing)), "test": listing.take(np.flatnonzero(testing))}


def keep(path: Path, listings: Mapping[str, FileList]) -> None:
    """Write a split to a file, with a warning if that fails."""
    rows = [
        dict(zip(HEAD, (name, split), strict=True)) for split, listing in listings.items() for name in listing.names
    ]
    try:
        files.write_csv(path, rows)
    except InputError:
        warnings.warn(f"the split could not be kept in {path}: add no image to the set while you use it.", stacklevel=2)
