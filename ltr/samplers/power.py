"""Sampling by a power of the class count."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.samplers.weighted import Weighted


class Power(Weighted):
    """Draw class c with probability proportional to N_c ** q, then one of its images uniformly.

    `q` 1 is instance sampling (every image once per epoch, without replacement), 0.5 square-root, 0 class-balanced and
    -1 reversed sampling.

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

    def shares(self) -> Tensor:
        """Return (C,) N_c ** q."""
        return self.counts.pow(self.q)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return (N,) indices."""
        return torch.randperm(self.size, generator=generator) if self.q == 1 else super().draw(generator)
