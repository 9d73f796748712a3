"""What the user can mend is said in a sentence, wherever below jsonargparse and Lightning it came up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException

from ltr.errors import InputError

FEWER = "This machine has fewer than asked for: leave out `--trainer.accelerator` and `--trainer.devices`."


@contextmanager
def sentences() -> Iterator[None]:
    """Raise what a constructor said of its arguments, or the parser of a value, as an `InputError`."""
    try:
        yield
    except (ArgumentError, ValueError, MisconfigurationException) as error:
        said = cause(error)
        if said is None and not isinstance(error, ArgumentError):
            raise
        raise InputError(said or " ".join(str(error).split())) from error


def cause(error: BaseException | None) -> str | None:
    """Return what a constructor of ours or of Lightning said of its arguments, behind an error of the parser."""
    while error is not None:
        said = " ".join(str(error).split())
        if isinstance(error, InputError):
            return said
        if isinstance(error, MisconfigurationException):
            return f"{said} {FEWER}" if "gpu" in said.lower() else said
        error = error.__cause__ or error.__context__
    return None
