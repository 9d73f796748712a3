"""What reaches the terminal when a verb ends early: one sentence, or the traceback of a defect."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ltr.errors import InputError, Stopped
from ltr.library_errors import DEFECT, is_defect, library_errors
from ltr.process_state import set_up_command
from ltr.sentences import printable


@contextmanager
def messages(again: str = "") -> Iterator[None]:
    """Print an `InputError` as one sentence, warnings as notes, and how to go on after a signal.

    Args:
        again: how to go on with the whole command, if a part of it does not know.

    Raises:
        SystemExit: with status 2 for bad input, 130 after Ctrl+C, 143 after SIGTERM.
        Exception: a defect, with a note on where to report it.
    """
    set_up_command()
    try:
        with library_errors():
            yield
    except InputError as error:
        print(f"ltr: error: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(2) from error
    except KeyboardInterrupt as error:
        end = error if isinstance(error, Stopped) else Stopped(signal.SIGINT)
        end.advice = again or end.advice
        print(f"\nltr: {end}", file=sys.stderr)
        raise SystemExit(128 + end.signal) from error
    except Exception as error:
        if is_defect(error):
            error.add_note(DEFECT)
        raise
