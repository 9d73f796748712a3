"""Errors of jsonargparse and of Lightning as `InputError`s."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException

from ltr.errors import InputError

FEWER = "This machine has fewer than asked for: leave out `--trainer.accelerator` and `--trainer.devices`."


@contextmanager
def sentences() -> Iterator[None]:
    """Raise an error of a constructor or of the parser as an `InputError`."""
    try:
        yield
    except (ArgumentError, ValueError, MisconfigurationException) as error:
        said = cause(error)
        if said is None and not isinstance(error, ArgumentError):
            raise
        raise InputError(said or " ".join(str(error).split())) from error


def cause(error: BaseException | None) -> str | None:
    """Return the message of the constructor, ours or Lightning's, that caused an error of the parser."""
    while error is not None:
        said = " ".join(str(error).split())
        if isinstance(error, InputError):
            return said
        if isinstance(error, MisconfigurationException):
            return f"{said} {FEWER}" if "gpu" in said.lower() else said
        error = error.__cause__ or error.__context__
    return None
