"""Remix: mixup with labels in favour of the rarer class."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.counts import CountsLike
from ltr.mixes.mixup import Mixup
from ltr.ranges import AtLeastOne, Fraction, Positive


class Remix(Mixup):
    """Mix images as `Mixup` does; if one class of a pair is much rarer, it gets the whole label.

    The weight of y_i is 0 where N_i / N_j >= kappa and lambda < tau, 1 where N_i / N_j <= 1 / kappa and
    1 - lambda < tau, else lambda. The public code multiplies these weights by the mean loss of the batch, so only their
    average has an effect; here each pair has its own weight, as in the paper.

    Args:
        counts: (C,) training images per class, N_c.
        alpha: lambda ~ Beta(alpha, alpha), one per batch.
        kappa: how many times rarer a class must be.
        tau: the share below which the more frequent class loses its label.

    Reference:
        Chou et al., "Remix: Rebalanced Mixup", ECCV 2020 workshops, https://arxiv.org/abs/2007.03943; public code
        zhangyongshun/BagofTricks-LT, lib/core/combiner.py.
    """

    counts: Tensor

    def __init__(
        self,
        counts: CountsLike,
        *,
        alpha: Positive = 1.0,
        kappa: AtLeastOne = 3.0,
        tau: Fraction = 0.5,
    ) -> None:
        super().__init__(counts, alpha=alpha)
        self.register_buffer("counts", torch.as_tensor(counts), persistent=False)
        self.kappa, self.tau = kappa, tau

    def weigh(self, labels: Tensor, others: Tensor, share: float) -> Tensor:
        """Return (B,) the weights of `labels` in the loss."""
        mine, theirs = self.counts[labels], self.counts[others]
        weights = super().weigh(labels, others, share)
        if share < self.tau:
            weights = weights.masked_fill(mine >= self.kappa * theirs, 0.0)
        if 1 - share < self.tau:
            weights = weights.masked_fill(self.kappa * mine <= theirs, 1.0)
        return weights
