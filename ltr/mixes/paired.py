"""What the mixes share that blend every image with another one of its batch."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.distributions import Beta

from ltr.contracts import Mix, Target
from ltr.errors import InputError


class Paired(Mix):
    """Give every image a random partner of its batch, and the batch one share lambda ~ Beta(alpha, alpha).

    Args:
        counts: (C,) training images per class.
        alpha: of the distribution; 1 is uniform, less is nearer to the plain images.
    """

    def __init__(self, counts: Tensor, *, alpha: float = 1.0) -> None:
        super().__init__(counts)
        if alpha <= 0:
            raise InputError(f"alpha of a mix is positive; it cannot be {alpha:g}.")
        self.alpha = alpha

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Target]:
        """Blend images (B, 3, H, W) with their partners."""
        partners = torch.randperm(len(labels), device=labels.device)
        images, share = self.blend(images, partners, self.draw())
        others = labels[partners]
        return images, Target(labels, others, self.weigh(labels, others, share))

    def draw(self) -> float:
        """Return the share of the images themselves."""
        return float(Beta(self.alpha, self.alpha).sample())

    @abstractmethod
    def blend(self, images: Tensor, partners: Tensor, share: float) -> tuple[Tensor, float]:
        """Return the blended images and the share that the images themselves have got in them.

        Args:
            images: (B, 3, H, W).
            partners: (B,) positions of the partners in the batch.
            share: the share asked for.
        """

    def weigh(self, labels: Tensor, others: Tensor, share: float) -> Tensor:
        """Return (B,) the weights of `labels` in the loss: their share in the images."""
        return torch.full(labels.shape, share, device=labels.device)
