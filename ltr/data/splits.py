"""The splits of a data set, and the numbers of its classes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ltr.data.images import ImageFiles
from ltr.errors import InputError
from ltr.sentences import first


class Split(NamedTuple):
    """The images of a split.

    Attributes:
        images: (N, 3, H, W) uint8, or the files of as many images.
        labels: (N,) int64.
        indices: (N,) positions in the official files.
        synthetic: how many of the images, at the end, are synthetic.
    """

    images: Tensor | ImageFiles
    labels: Tensor
    indices: NDArray[np.int64]
    synthetic: int = 0

    def take(self, kept: Sequence[NDArray[np.int64]]) -> Split:
        """Return the part at positions given class by class."""
        where = np.concatenate([np.asarray(part, dtype=np.int64) for part in kept])
        images = self.images[where] if isinstance(self.images, Tensor) else self.images.take(where)
        return Split(images, self.labels[where], self.indices[where])


class Splits(dict[str, Split]):
    """Splits by their names."""

    def __missing__(self, name: str) -> Split:
        raise InputError(f"the data have no {name} split, but {', '.join(self)}.")

    def relabelled(self, positions: Sequence[int]) -> Splits:
        """Return the splits with the label `positions[label]` in place of each label."""
        labels = torch.tensor(positions)
        return Splits(
            (name, split._replace(labels=labels.to(split.labels.device)[split.labels])) for name, split in self.items()
        )


def class_positions(classes: Sequence[str], trained: Sequence[str], data: str) -> list[int]:
    """Return the number that each class of the data has in a trained network; empty if none differs.

    Classes that are only numbered, 0 to C - 1, on either side, keep their numbers, with a warning.

    Args:
        classes: of the data.
        trained: of the network; empty if they are unknown.
        data: name of the data.

    Raises:
        InputError: if the names are others.
    """
    if not trained or list(classes) == list(trained):
        return []
    unknown = [name for name in classes if name not in trained]
    lacking = [name for name in trained if name not in classes]
    if not unknown and not lacking:
        return [list(trained).index(name) for name in classes]
    numbered = [str(label) for label in range(len(classes))]
    if numbered not in (list(classes), list(trained)):
        raise InputError(
            f"the classes of {data} are not those of the network: these have {first(unknown, 3) or 'fewer'}, the "
            f"network has {first(lacking, 3) or 'fewer'}. Rename the classes of the data, or take other data."
        )
    warnings.warn(
        f"classes without names are matched by their numbers: {classes[0]} of {data} is {trained[0]} of the network.",
        stacklevel=2,
    )
    return []
