"""The base class of losses that contain other losses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from ltr.contracts import Loss, LossFactory
from ltr.counts import CountsLike


class Composite(Loss):
    """Hold other losses and pass on the epoch. It is batch-level if any part is, and mixable if all parts are.

    Args:
        counts: (C,) training images per class, passed to every part.
        parts: build the losses.
    """

    parts: Sequence[Loss]

    def __init__(self, counts: CountsLike, parts: Iterable[LossFactory]) -> None:
        super().__init__(counts)
        losses = [part(torch.as_tensor(counts)) for part in parts]
        self.batch_level = any(loss.batch_level for loss in losses)
        self.mixable = all(loss.mixable for loss in losses)
        self.parts = nn.ModuleList(losses)  # type: ignore[assignment] # of losses only

    def name_classes(self, classes: Sequence[str]) -> None:
        """Pass the names of the classes to the parts."""
        for part in self.parts:
            part.name_classes(classes)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        for part in self.parts:
            part.set_epoch(epoch, epochs)

    def notes(self, epochs: int) -> list[str]:
        """Return what `epochs` epochs are too few for."""
        return [note for part in self.parts for note in part.notes(epochs)]
