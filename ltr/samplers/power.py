"""Sampling by a power of the class count."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Sampler
from ltr.counts import per_class


class Power(Sampler):
    """Draw class c with probability proportional to N_c ** q, then an image of it uniformly.

    `q` 1 is instance sampling (every image once per epoch, without replacement), 0.5 square-root, 0 class-balanced and
    -1 reversed sampling (with replacement, as many draws as there are images). A sampler other than the first changes
    the prior that the network sees, which a loss that knows the counts does not hear of.

    Args:
        labels: (N,) class indices of the training split.
        q: the power.

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020,
        https://arxiv.org/abs/1910.09217; Zhou et al. (BBN), CVPR 2020, https://arxiv.org/abs/1912.02413, for -1.
    """

    def __init__(self, labels: Tensor, *, q: float = 1.0) -> None:
        super().__init__(labels)
        self.q = q
        self.weights = per_class(labels, int(labels.max()) + 1).double().pow(q - 1)[labels]

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return (N,) indices."""
        if self.q == 1:
            return torch.randperm(len(self.labels), generator=generator)
        # Inverting the distribution function has no limit on the number of images, unlike torch.multinomial.
        steps = self.weights.cumsum(0)
        draws = torch.rand(len(self.labels), generator=generator, dtype=torch.float64) * steps[-1]
        return torch.searchsorted(steps, draws, right=True).clamp_(max=len(self.labels) - 1)
