"""Switch points as fractions of a run, so that a shorter run keeps the method."""

from __future__ import annotations

from ltr.errors import InputError


def reached(start: float, epoch: int, epochs: int) -> bool:
    """Tell whether epoch `epoch` (from 0) of `epochs` lies at or after the fraction `start` of the run.

    >>> reached(0.8, 159, 200), reached(0.8, 160, 200)
    (False, True)
    """
    return epoch >= round(start * epochs, 6)


def check(start: float, epochs: int, what: str) -> None:
    """Refuse a switch that does not divide a run of `epochs` epochs into two parts.

    Args:
        start: the fraction of the run at which it fires.
        epochs: the length of the run.
        what: the switch, as the sentence shall name it.

    Raises:
        InputError: where it would never fire, or in the first epoch already.
    """
    if reached(start, 0, epochs):
        raise InputError(f"{what} at {start:g} of the run fires before anything happened: name a later fraction.")
    if not reached(start, epochs - 1, epochs):
        raise InputError(
            f"{what} at {start:g} of the run never fires in {epochs} epochs: train longer, or switch earlier."
        )
