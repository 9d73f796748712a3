"""Deferred losses: one loss for most of training, another for the end."""

from __future__ import annotations

from torch import Tensor

from ltr import milestones
from ltr.contracts import LossFactory, Output
from ltr.counts import CountsLike
from ltr.losses.class_balanced import ClassBalanced
from ltr.losses.composite import Composite
from ltr.losses.cross_entropy import CrossEntropy
from ltr.ranges import InnerFraction


class Deferred(Composite):
    """Switch the loss during training: `before` in the first epochs, `after` in the rest.

    Deferred re-weighting (DRW) of any loss is `before: LOSS` and `after: ClassBalanced` around the same loss.

    Args:
        counts: (C,) training images per class.
        before: builds the loss of the first epochs.
        after: builds the loss of the remaining epochs.
        start: the fraction of training at which `after` starts; 0.8 is epoch 160 (from 0) of 200.

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
        counts: CountsLike,
        *,
        before: LossFactory = CrossEntropy,
        after: LossFactory = ClassBalanced,
        start: InnerFraction = 0.8,
    ) -> None:
        super().__init__(counts, [before, after])
        self.start, self.started = start, False

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        super().set_epoch(epoch, epochs)
        self.started = milestones.passed(self.start, epoch, epochs)

    def notes(self, epochs: int) -> list[str]:
        """Return what `epochs` epochs are too few for."""
        return [*super().notes(epochs), *milestones.notes(self.start, epochs, "the switch of the loss")]

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        before, after = self.parts
        return (after if self.started else before)(output, labels)
