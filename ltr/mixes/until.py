"""A mix that stops before the run does."""

from __future__ import annotations

from torch import Tensor

from ltr import milestones
from ltr.contracts import Backbone, Mix, MixFactory, Target
from ltr.mixes.mixup import Mixup


class Until(Mix):
    """Mix until the fraction `end` of the run, and train on plain images from there on.

    Args:
        counts: (C,) training images per class.
        mix: builds the mix from the counts.
        end: when it stops: 0.9 leaves the last 20 epochs of 200 plain.

    Reference:
        The last stage of Zhang et al., "Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional Neural
        Networks", AAAI 2021, https://github.com/zhangyongshun/BagofTricks-LT.
    """

    def __init__(self, counts: Tensor, *, mix: MixFactory = Mixup, end: float = 0.9) -> None:
        super().__init__(counts)
        self.mix, self.end, self.over = mix(counts), end, False

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Target]:
        """Blend images (B, 3, H, W), or leave them as they are."""
        if self.over:
            return images, Target(labels)
        blended: tuple[Tensor, Target] = self.mix(images, labels)
        return blended

    def attach(self, backbone: Backbone) -> None:
        """Let the mix get at the backbone."""
        self.mix.attach(backbone)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        self.over = milestones.passed(self.end, epoch, epochs)
        self.mix.set_epoch(epoch, epochs)

    def check(self, epochs: int) -> None:
        """Raise where the mix would not stop within `epochs` epochs."""
        milestones.check(self.end, epochs, "the end of the mix")
        self.mix.check(epochs)
