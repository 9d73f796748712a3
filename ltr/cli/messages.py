"""What a verb prints beside its result: an error or a note, in a sentence."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ltr.errors import InputError


@contextmanager
def messages() -> Iterator[None]:
    """Print what the user can mend and leave with status 2; print warnings without the line of code.

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
    """Return a warning as a line for a user, who has no use for the line of code it comes from."""
    return f"ltr: note: {message}\n"
