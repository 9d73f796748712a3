"""Errors and warnings of the command line, one sentence each."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ltr.errors import InputError


@contextmanager
def messages() -> Iterator[None]:
    """Print an `InputError` and exit with status 2; print warnings without their line of code.

    Raises:
        SystemExit: in place of an `InputError`.
    """
    usual, warnings.formatwarning = warnings.formatwarning, _note
    try:
        yield
    except InputError as error:
        print(f"ltr: error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    finally:
        warnings.formatwarning = usual


def _note(message: Warning | str, *_: object, **__: object) -> str:
    """Format a warning without the line of code that it comes from."""
    return f"ltr: note: {message}\n"
