"""Schedules: (epoch, epochs) to the factor of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ltr import milestones
from ltr.contracts import Schedule
from ltr.ranges import InnerFraction, Positive, PositiveFraction, WholeNumber

__all__ = ["Cosine", "Exponential", "Steps"]


def fitting_warmup(warmup: int, epochs: int) -> int:
    """Return the epochs of a warm-up; in a run that is not longer than the warm-up, less than half of the run."""
    return warmup if warmup < epochs else (epochs - 1) // 2


def warmup_factor(epoch: int, warmup: int) -> float:
    """Return (epoch + 1) / warmup: 1/warmup in the first epoch (from 0) and 1 in the last one of the warm-up."""
    return (epoch + 1) / warmup


def warmup_notes(warmup: int, epochs: int) -> list[str]:
    """Return a sentence on a warm-up that is shortened, else nothing."""
    fitting = fitting_warmup(warmup, epochs)
    return [f"the warm-up of {warmup} epochs takes {fitting} of {epochs}"] if fitting < warmup else []


class Cosine(Schedule):
    """Decay the learning rate along half a cosine, after a linear warm-up.

    Args:
        warmup: epochs of the linear warm-up.

    Reference:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
        https://arxiv.org/abs/1608.03983, without restarts.
    """

    def __init__(self, warmup: WholeNumber = 0) -> None:
        self.warmup = warmup

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the factor for epoch `epoch` (from 0) of `epochs`."""
        warmup = fitting_warmup(self.warmup, epochs)
        if epoch < warmup:
            return warmup_factor(epoch, warmup)
        return 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / max(epochs - warmup, 1)))

    def notes(self, epochs: int) -> list[str]:
        """Return what `epochs` epochs are too few for."""
        return warmup_notes(self.warmup, epochs)


class Exponential(Schedule):
    """Multiply the learning rate by `gamma` after every epoch.

    `gamma` applies per epoch, not per run: longer training ends at a lower learning rate.

    Args:
        gamma: the factor, in (0, 1].

    Reference:
        `ExponentialLR` of torch, https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html.
    """

    def __init__(self, gamma: PositiveFraction = 0.9) -> None:
        self.gamma = gamma

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return `gamma` ** epoch, with epochs from 0."""
        return float(self.gamma**epoch)


class Steps(Schedule):
    """Multiply the learning rate by `gamma` at every milestone, after a linear warm-up.

    The defaults are the step schedule of the LDAM code, which most papers of the field use. In 200 epochs: 1/5 ... 5/5
    of the base rate in the first five epochs, x .01 from epoch 160 and x .0001 from epoch 180 (counted from 0).

    Args:
        milestones: fractions of training, each in (0, 1).
        gamma: factor at each milestone.
        warmup: epochs of the linear warm-up.

    Reference:
        `adjust_learning_rate` of kaidic/LDAM-DRW, cifar_train.py.
    """

    def __init__(
        self, milestones: Sequence[InnerFraction] = (0.8, 0.9), gamma: Positive = 0.01, warmup: WholeNumber = 5
    ) -> None:
        self.milestones, self.gamma, self.warmup = tuple(milestones), gamma, warmup

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the factor for epoch `epoch` (from 0) of `epochs`."""
        warmup = fitting_warmup(self.warmup, epochs)
        if epoch < warmup:
            return warmup_factor(epoch, warmup)
        return float(self.gamma ** sum(milestones.passed(at, epoch, epochs) for at in self.milestones))

    def notes(self, epochs: int) -> list[str]:
        """Return what `epochs` epochs are too few for."""
        drops = [note for at in self.milestones for note in milestones.notes(at, epochs, "the drop of the rate")]
        return [*warmup_notes(self.warmup, epochs), *drops]
