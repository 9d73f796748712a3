"""Progressively balanced sampling, from instance-balanced to class-balanced."""

from __future__ import annotations

from torch import Tensor

from ltr.samplers.weighted import Weighted


class Progressive(Weighted):
    """Draw class c with probability (1 - t) N_c / N + t / C.

    t = (e + 1) / E in epoch e (from 0) of E: it starts almost instance-balanced and ends class-balanced. This is the
    t = e / E of the public code, which counts epochs from 1.

    Args:
        labels: (N,) class indices of the training split.

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020,
        https://arxiv.org/abs/1910.09217; zhangyongshun/BagofTricks-LT, lib/dataset/baseset.py.
    """

    def shares(self) -> Tensor:
        """Return (C,) the class probabilities of this epoch."""
        time = (self.epoch + 1) / self.epochs
        return (1 - time) * self.counts / self.counts.sum() + time / len(self.counts)
