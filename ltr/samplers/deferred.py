"""Deferred re-sampling (DRS): another sampler for the last part of training."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr import milestones
from ltr.contracts import Sampler, SamplerFactory
from ltr.errors import InputError
from ltr.ranges import InnerFraction
from ltr.samplers.power import Power


class Deferred(Sampler):
    """Use one sampler first, and another one from the fraction `start` of training on.

    Args:
        labels: (N,) class indices of the training split.
        before: the first sampler; instance sampling by default.
        after: the second sampler; class-balanced by default. Its epochs are those of the whole training.
        start: the fraction of training at which `after` starts; 0.8 is epoch 160 (from 0) of 200.

    Reference:
        Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019,
        https://arxiv.org/abs/1906.07413; zhangyongshun/BagofTricks-LT, lib/dataset/baseset.py.
    """

    def __init__(
        self,
        labels: Tensor,
        *,
        before: SamplerFactory = Power,
        after: SamplerFactory | None = None,
        start: InnerFraction = 0.8,
    ) -> None:
        super().__init__(labels)
        self.before = before(labels)
        self.after = after(labels) if after else Power(labels, q=0.0)
        self.start, self.size = start, self.before.size
        self.streams = max(self.before.streams, self.after.streams)
        if self.after.size != self.size:
            raise InputError(
                f"an epoch of {type(self.before).__name__} has {self.size} images and one of "
                f"{type(self.after).__name__} {self.after.size}: use samplers with epochs of the same length."
            )

    def set_epoch(self, epoch: int, epochs: int | None = None) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        super().set_epoch(epoch, epochs)
        self.before.set_epoch(epoch, epochs)
        self.after.set_epoch(epoch, epochs)

    def notes(self, epochs: int) -> list[str]:
        """Return what `epochs` epochs are too few for."""
        switch = milestones.notes(self.start, epochs, "the switch of the Deferred sampler")
        return [*switch, *self.before.notes(epochs), *self.after.notes(epochs)]

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return the indices of the current sampler."""
        late = milestones.passed(self.start, self.epoch, self.epochs)
        return (self.after if late else self.before).draw(generator)
