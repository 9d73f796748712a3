"""The base class of mixes that combine every image with another image of its batch."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.distributions import Beta

from ltr.contracts import Mix, Target
from ltr.counts import CountsLike
from ltr.ranges import Positive


class Pairwise(Mix):
    """Draw a random partner in the batch for every image, and one share lambda ~ Beta(alpha, alpha) for the batch.

    Args:
        counts: (C,) training images per class.
        alpha: of the Beta distribution; 1 is uniform, smaller values stay closer to the original images.
    """

    def __init__(self, counts: CountsLike, *, alpha: Positive = 1.0) -> None:
        super().__init__(counts)
        self.alpha = alpha

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Target]:
        """Mix images (B, 3, H, W) with their partners."""
        partners = torch.randperm(len(labels), device=labels.device)
        images, share = self.blend(images, partners, self.draw())
        others = labels[partners]
        return images, Target(labels, others, self.weigh(labels, others, share))

    def draw(self) -> float:
        """Draw lambda."""
        return float(Beta(self.alpha, self.alpha).sample())

    @abstractmethod
    def blend(self, images: Tensor, partners: Tensor, share: float) -> tuple[Tensor, float]:
        """Return the mixed images and the share that the original images have in them.

        Args:
            images: (B, 3, H, W).
            partners: (B,) positions of the partners in the batch.
            share: lambda.
        """

    def weigh(self, labels: Tensor, others: Tensor, share: float) -> Tensor:
        """Return (B,) the weights of `labels` in the loss: the share of the original images."""
        return torch.full(labels.shape, share, device=labels.device)
