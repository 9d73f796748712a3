"""The step schedule of the LDAM code, which most of the field trains with."""

from __future__ import annotations

from collections.abc import Sequence

from ltr.contracts import Schedule
from ltr.errors import InputError
from ltr.schedules.warmup import warmup_factor
from ltr.switch import reached


class Steps(Schedule):
    """Multiply the learning rate by `gamma` at every milestone, after a linear warm-up.

    With the defaults and 200 epochs: 1/5 ... 5/5 of the base rate in the first five epochs, x .01 from epoch 160 and
    x .0001 from epoch 180 (counted from 0).

    Args:
        milestones: fractions of the run, each in (0, 1).
        gamma: factor at each milestone.
        warmup: epochs of the linear warm-up.

    Reference:
        `adjust_learning_rate` of kaidic/LDAM-DRW, cifar_train.py.
    """

    def __init__(self, milestones: Sequence[float] = (0.8, 0.9), gamma: float = 0.01, warmup: int = 5) -> None:
        self.milestones, self.gamma, self.warmup = tuple(milestones), gamma, warmup

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the factor for epoch `epoch` (from 0) of `epochs`."""
        if epoch < self.warmup:
            return warmup_factor(epoch, self.warmup)
        return float(self.gamma ** sum(reached(at, epoch, epochs) for at in self.milestones))

    def check(self, epochs: int) -> None:
        """Raise where the run is too short for the warm-up to end or for a milestone to fire."""
        last = epochs - 1
        silent = [at for at in self.milestones if not reached(at, last, epochs)]
        if silent or last < self.warmup:
            what = f"the milestone at {silent[0]:g} of the run" if silent else f"the end of the warm-up ({self.warmup})"
            raise InputError(
                f"{epochs} epochs are too short for the Steps schedule: {what} is never reached. Train longer, or say "
                "`--model.schedule Cosine`."
            )
