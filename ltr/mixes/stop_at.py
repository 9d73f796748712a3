"""A mix that stops before training ends."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr import milestones
from ltr.contracts import Backbone, Mix, MixFactory, Target
from ltr.counts import CountsLike
from ltr.mixes.mixup import Mixup
from ltr.ranges import InnerFraction


class StopAt(Mix):
    """Mix until the fraction `end` of training, and use plain images from there on.

    Args:
        counts: (C,) training images per class.
        mix: builds the mix from the counts.
        end: the fraction of training at which mixing stops; with 0.9, the last 20 of 200 epochs are plain.

    Reference:
        The last stage of Zhang et al., "Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional Neural
        Networks", AAAI 2021, https://github.com/zhangyongshun/BagofTricks-LT.
    """

    def __init__(self, counts: CountsLike, *, mix: MixFactory = Mixup, end: InnerFraction = 0.9) -> None:
        super().__init__(counts)
        self.mix, self.end, self.over = mix(torch.as_tensor(counts)), end, False
        self.hidden = self.mix.hidden

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Target]:
        """Mix images (B, 3, H, W), or return them unchanged."""
        if self.over:
            return images, Target(labels)
        blended: tuple[Tensor, Target] = self.mix(images, labels)
        return blended

    def attach(self, backbone: Backbone) -> None:
        """Pass the backbone to the mix."""
        self.mix.attach(backbone)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        self.over = milestones.passed(self.end, epoch, epochs)
        self.mix.set_epoch(epoch, epochs)

    def notes(self, epochs: int) -> list[str]:
        """Return what `epochs` epochs are too few for."""
        return [*milestones.notes(self.end, epochs, "the end of the mix"), *self.mix.notes(epochs)]
