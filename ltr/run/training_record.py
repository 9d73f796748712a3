"""The record of the images that a network was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ltr.errors import InputError

KEY = "training_record"


class TrainingRecord(NamedTuple):
    """Hashes of the images of a network's training, and of all trainings that it started from.

    A checkpoint keeps it beside the weights, 8 bytes for each image: 87 kB for CIFAR-100-LT.

    Attributes:
        images: (N,) int64, ascending: a hash of the content of each image.
        complete: whether these are all images; False if one of the trainings has no record.
        sets: the names of the sets that published weights were trained on, which the images are not of.
    """

    images: Tensor = torch.empty(0, dtype=torch.int64)
    complete: bool = False
    sets: tuple[str, ...] = ()

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> TrainingRecord:
        """Return the record in a checkpoint; an unknown one if it has none.

        Raises:
            InputError: if it is damaged.
        """
        kept = content.get(KEY, {})
        try:
            record = cls(**kept)
            sound = record.images.dtype == torch.int64 and record.images.dim() == 1 and type(record.complete) is bool
            sound = sound and isinstance(record.sets, tuple | list) and all(type(name) is str for name in record.sets)
        except (TypeError, AttributeError):
            sound = False
        if not sound:
            raise InputError("the record of the training images in the checkpoint is damaged: train the network again.")
        return record._replace(sets=tuple(record.sets))

    def write(self, content: dict[str, Any]) -> None:
        """Store the record in a checkpoint."""
        content[KEY] = {**self._asdict(), "sets": [*self.sets]}

    def __or__(self, other: TrainingRecord) -> TrainingRecord:
        """Return the record of both trainings."""
        both = np.union1d(self.images.numpy(), other.images.numpy())
        sets = tuple(dict.fromkeys((*self.sets, *other.sets)))
        return TrainingRecord(torch.from_numpy(both), self.complete and other.complete, sets)

    def missing_in(self, other: TrainingRecord) -> int:
        """Count the images that another record does not have."""
        return int(torch.isin(self.images, other.images, invert=True).sum())

    def overlap(self, images: Tensor) -> int | None:
        """Count the images (M,) that are in the record; None if there are none but the record is incomplete."""
        found = int(torch.isin(images, self.images).sum())
        return found if found or self.complete else None
