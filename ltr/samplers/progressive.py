"""Sampling that moves from instances to classes in the course of a run."""

from __future__ import annotations

from torch import Tensor

from ltr.samplers.weighted import Weighted


class Progressive(Weighted):
    """Progressively balanced sampling: draw class c with probability (1 - t) N_c / N + t / C.

    t = (e + 1) / E in epoch e (from 0) of E. The public code counts epochs from 1, so that its t = e / E is the same: a
    run ends class-balanced, and the first epoch is nearly one of instances.

    Args:
        labels: (N,) class indices of the training split.

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020,
        https://arxiv.org/abs/1910.09217; zhangyongshun/BagofTricks-LT, lib/dataset/baseset.py.
    """

    def shares(self) -> Tensor:
        """Return (C,) the mixture of this epoch."""
        time = (self.epoch + 1) / self.epochs
        return (1 - time) * self.counts / self.counts.sum() + time / len(self.counts)
