"""Losses made of losses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from ltr.contracts import Loss, LossFactory


class Composite(Loss):
    """Hold other losses and tell them the time; batch-level if one of them is, mixable if all of them are.

    Args:
        counts: (C,) training images per class, handed on to every part.
        parts: build the losses that it is made of.
    """

    parts: Sequence[Loss]

    def __init__(self, counts: Tensor, parts: Iterable[LossFactory]) -> None:
        super().__init__(counts)
        losses = [part(counts) for part in parts]
        self.batch_level = any(loss.batch_level for loss in losses)
        self.mixable = all(loss.mixable for loss in losses)
        self.parts = nn.ModuleList(losses)  # type: ignore[assignment] # of losses only

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Hear that epoch `epoch` (from 0) of `epochs` starts."""
        for part in self.parts:
            part.set_epoch(epoch, epochs)

    def check(self, epochs: int) -> None:
        """Raise `InputError` where a switch of a part would never fire in `epochs` epochs."""
        for part in self.parts:
            part.check(epochs)
