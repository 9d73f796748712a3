"""The images that a network was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

KEY = "training_record"


class TrainingRecord(NamedTuple):
    """The images of a network's training and of all trainings that it started from, by their content.

    A checkpoint keeps it beside the weights, 8 bytes for each image: 87 kB for CIFAR-100-LT.

    Attributes:
        images: (N,) int64, ascending: a hash of the content of each image.
        complete: whether these are all images; False if one of the trainings is not known.
    """

    images: Tensor = torch.empty(0, dtype=torch.int64)
    complete: bool = False

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> TrainingRecord:
        """Return the record in a checkpoint, an unknown one where there is none."""
        return cls(**content.get(KEY, {}))

    def write(self, content: dict[str, Any]) -> None:
        """Put the record into a checkpoint."""
        content[KEY] = self._asdict()

    def __or__(self, other: TrainingRecord) -> TrainingRecord:
        """Return the record of both trainings."""
        both = np.union1d(self.images.numpy(), other.images.numpy())
        return TrainingRecord(torch.from_numpy(both), self.complete and other.complete)

    def overlap(self, images: Tensor) -> int | None:
        """Count how many of some images (M,) are in the record; None if none is, but the record is incomplete."""
        shared = int(torch.isin(images, self.images).sum())
        return shared if shared or self.complete else None
