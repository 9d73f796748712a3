"""Mixup."""

from __future__ import annotations

from torch import Tensor

from ltr.mixes.pairwise import Pairwise


class Mixup(Pairwise):
    """Mix images and losses: x = lambda x_i + (1 - lambda) x_j and lambda L(y_i) + (1 - lambda) L(y_j).

    Args:
        counts: (C,) training images per class; not used.
        alpha: lambda ~ Beta(alpha, alpha), one per batch.

    Reference:
        Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, https://arxiv.org/abs/1710.09412; official
        code facebookresearch/mixup-cifar10, train.py.
    """

    def blend(self, images: Tensor, partners: Tensor, share: float) -> tuple[Tensor, float]:
        """Return the weighted sum of images (B, 3, H, W) and their partners."""
        return share * images + (1 - share) * images[partners], share
