"""The images of a split by name, before any of them is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ltr.counts import number
from ltr.data.images import Source


class Listing(NamedTuple):
    """The images of a split, by name.

    Attributes:
        sources: of each image its path, or the bytes of the file.
        labels: (N,) class indices.
        names: what each image is known by, wherever the set lies.
    """

    sources: Sequence[Source]
    labels: NDArray[np.int64]
    names: Sequence[str]

    def take(self, where: NDArray[np.int64]) -> Listing:
        """Return the images at some positions."""
        return Listing([self.sources[at] for at in where], self.labels[where], [self.names[at] for at in where])

    def counts(self, classes: int) -> list[int]:
        """Return how many images of every class there are."""
        found: list[int] = np.bincount(self.labels, minlength=classes).tolist()
        return found

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(N,) what a fingerprint is made of: the number that is an image's name, else one made from the name.

        Files that are named by numbers, no two by the same, are those of a set that was written out image by image:
        their fingerprint is that of the set.
        """
        stems = [PurePosixPath(name).stem for name in self.names]
        if all(stem.isascii() and stem.isdecimal() for stem in stems):
            numbers = {int(stem) for stem in stems}
            if len(numbers) == len(stems) and max(numbers) < 2**63:
                return np.array([int(stem) for stem in stems], dtype=np.int64)
        return np.array([number(name.encode()) for name in self.names], dtype=np.int64)
