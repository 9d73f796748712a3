"""The cosine schedule."""

from __future__ import annotations

import math

from ltr.contracts import Schedule
from ltr.errors import InputError
from ltr.schedules.warmup import warmup_factor


class Cosine(Schedule):
    """Let the learning rate fall along half a cosine, after a linear warm-up.

    Args:
        warmup: epochs of the linear warm-up.

    Reference:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
        https://arxiv.org/abs/1608.03983, without restarts.
    """

    def __init__(self, warmup: int = 0) -> None:
        self.warmup = warmup

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the factor for epoch `epoch` (from 0) of `epochs`."""
        if epoch < self.warmup:
            return warmup_factor(epoch, self.warmup)
        return 0.5 * (1 + math.cos(math.pi * (epoch - self.warmup) / max(epochs - self.warmup, 1)))

    def check(self, epochs: int) -> None:
        """Raise where the run ends within the warm-up."""
        if self.warmup and epochs <= self.warmup:
            raise InputError(f"a warm-up of {self.warmup} epochs does not end within a run of {epochs}: train longer.")
