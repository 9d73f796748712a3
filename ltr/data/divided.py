"""A test split for a set that has none, drawn once and kept."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ltr import files
from ltr.data.listing import Listing
from ltr.errors import InputError
from ltr.markdown import first

HEAD = ["image", "split"]


def divided(
    listing: Listing, classes: Sequence[str], path: Path | None, *, share: float, seed: int
) -> dict[str, Listing]:
    """Divide a set, class by class, into `train` and `test`.

    Where the division has been kept in a file, it is the one of the file, and images that the file does not name, since
    they were added later, are for training: an image that was trained on is never tested on.

    Args:
        listing: all images.
        classes: names of the classes.
        path: the file; None where none is kept.
        share: part of every class that is for testing, at least one image.
        seed: which images.

    Raises:
        InputError: where classes have but one image, or the file is damaged.
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


def keep(path: Path, listings: Mapping[str, Listing]) -> None:
    """Write a division to a file, where it is not there and whole already."""
    rows = [
        dict(zip(HEAD, (name, split), strict=True)) for split, listing in listings.items() for name in listing.names
    ]
    try:
        files.write_csv(path, rows)
    except InputError:
        warnings.warn(f"the split could not be kept in {path}: add no image to the set while you use it.", stacklevel=2)
