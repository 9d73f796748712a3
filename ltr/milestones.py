"""Milestones as fractions of training, so that shorter training keeps the method."""

from __future__ import annotations

from ltr.errors import InputError


def passed(start: float, epoch: int, epochs: int) -> bool:
    """Return whether epoch `epoch` (from 0) of `epochs` is at or after the fraction `start` of training.

    >>> passed(0.8, 159, 200), passed(0.8, 160, 200)
    (False, True)
    """
    return epoch >= round(start * epochs, 6)


def check(start: float, epochs: int, what: str) -> None:
    """Check that a milestone divides training into two parts.

    Args:
        start: the milestone as a fraction of training.
        epochs: the length of training.
        what: the name of the milestone in the error.

    Raises:
        InputError: if the milestone is in the first epoch or after the last.
    """
    if passed(start, 0, epochs):
        raise InputError(f"{what} at {start:g} of the run leaves no first part: give a fraction above 0.")
    if not passed(start, epochs - 1, epochs):
        raise InputError(
            f"{what} at {start:g} of the run never fires in {epochs} epochs: train longer, or give a lower fraction."
        )
