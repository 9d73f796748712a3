"""The exponential schedule."""

from __future__ import annotations

from ltr.contracts import Schedule
from ltr.errors import InputError


class Exponential(Schedule):
    """Multiply the learning rate by the same factor after every epoch, `gamma` ** e in epoch e (from 0).

    The factor is one per epoch, not per run: a longer run ends at a lower rate.

    Args:
        gamma: the factor, in (0, 1].

    Reference:
        `ExponentialLR` of torch, https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html.
    """

    def __init__(self, gamma: float = 0.9) -> None:
        if not 0 < gamma <= 1:
            raise InputError(f"gamma of the Exponential schedule lies in (0, 1], such as 0.9; it cannot be {gamma:g}.")
        self.gamma = gamma

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the factor for epoch `epoch` (from 0)."""
        return float(self.gamma**epoch)
