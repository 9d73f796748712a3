"""Milestones as fractions of training, so that shorter training keeps the method."""

from __future__ import annotations


def passed(start: float, epoch: int, epochs: int) -> bool:
    """Return whether epoch `epoch` (from 0) of `epochs` is at or after the fraction `start` of training.

    In a run that is too short for it, the milestone is the last epoch. A single epoch has no milestone.

    >>> passed(0.8, 159, 200), passed(0.8, 160, 200)
    (False, True)
    >>> [passed(0.9, epoch, 3) for epoch in range(3)], passed(0.9, 0, 1)
    ([False, False, True], False)
    """
    return epoch >= min(round(start * epochs, 6), max(epochs - 1, 1))


def notes(start: float, epochs: int, what: str) -> list[str]:
    """Return a sentence on a milestone for which a run is too short, else nothing.

    Args:
        start: the milestone as a fraction of training.
        epochs: the length of training.
        what: the name of the milestone.
    """
    if round(start * epochs, 6) <= epochs - 1:
        return []
    if epochs == 1:
        return [f"{what} at {start:g} of the run does not take place in a single epoch"]
    return [f"{what} at {start:g} of the run takes place in the last of {epochs} epochs"]
