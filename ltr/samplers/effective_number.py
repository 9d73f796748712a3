"""Sampling by the effective number of samples."""

from __future__ import annotations

from torch import Tensor

from ltr.counts import inverse_effective_number
from ltr.ranges import BelowOne
from ltr.samplers.weighted import Weighted


class EffectiveNumber(Weighted):
    """Draw every image with probability proportional to (1 - beta) / (1 - beta ** N_c) of its class.

    These are the weights of the class-balanced loss. With the usual beta and the counts of CIFAR, this is close to
    class-balanced sampling.

    Args:
        labels: (N,) class indices of the training split.
        beta: in [0, 1); 0 is instance sampling with replacement.

    Reference:
        Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019,
        https://arxiv.org/abs/1901.05555; the rule `Resample` of kaidic/LDAM-DRW, utils.py, whose training script builds
        the loader before the sampler and so never uses it.
    """

    def __init__(self, labels: Tensor, *, beta: BelowOne = 0.9999) -> None:
        super().__init__(labels)
        self.beta = beta

    def shares(self) -> Tensor:
        """Return (C,) N_c times the weight of an image."""
        return self.counts * inverse_effective_number(self.counts, self.beta)
