"""Deferred losses: learn features first, balance later."""

from __future__ import annotations

from torch import Tensor

from ltr.contracts import LossFactory, Output
from ltr.errors import InputError
from ltr.losses.class_balanced import ClassBalanced
from ltr.losses.composite import Composite
from ltr.losses.cross_entropy import CrossEntropy


class Deferred(Composite):
    """Change the loss during the run: `before` in the first part of the epochs, `after` in the rest.

    Deferred re-weighting (DRW) of any loss is `before: LOSS` and `after: ClassBalanced` around the same loss.

    Args:
        counts: (C,) training images per class.
        before: builds the loss of the first epochs.
        after: builds the loss of the others.
        start: the fraction of the run at which `after` takes over; 0.8 is epoch 160 (from 0) of 200.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019,
        https://arxiv.org/abs/1906.07413; official code kaidic/LDAM-DRW, cifar_train.py, which fails from epoch 320 on
        because it counts switches as epoch // 160.

    Example:
        >>> import torch
        >>> loss = Deferred(torch.tensor([100, 10, 1]))
        >>> loss.set_epoch(159, 200), loss.started
        (None, False)
        >>> loss.set_epoch(160, 200), loss.started
        (None, True)
    """

    def __init__(
        self,
        counts: Tensor,
        *,
        before: LossFactory = CrossEntropy,
        after: LossFactory = ClassBalanced,
        start: float = 0.8,
    ) -> None:
        super().__init__(counts, [before, after])
        if not 0 < start < 1:
            raise InputError(f"`start` is a fraction of the run, such as 0.8; it cannot be {start:g}.")
        self.start, self.started = start, False

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Hear that epoch `epoch` (from 0) of `epochs` starts."""
        super().set_epoch(epoch, epochs)
        self.started = epoch >= round(self.start * epochs, 6)

    def check(self, epochs: int) -> None:
        """Raise where the run ends before the switch."""
        super().check(epochs)
        if epochs - 1 < round(self.start * epochs, 6):
            raise InputError(
                f"{epochs} epochs are too short for a loss that changes at {self.start:g} of the run: it never would. "
                "Train longer, or let it start earlier."
            )

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        before, after = self.parts
        values: Tensor = (after if self.started else before)(output, labels)
        return values
