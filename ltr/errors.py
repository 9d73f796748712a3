"""The exceptions that end a command with one sentence: bad input, and a signal."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from signal import SIGINT, Signals

FEW = 12  # names that an error sentence lists
LONGEST = 1000  # characters of an error sentence


class Stopped(KeyboardInterrupt):
    """The user or the machine ended the command with a signal.

    Handlers of `Exception` and of `SystemExit` do not catch it, so a study does not take it for a failed run.

    Args:
        signal: its number.
        advice: how to go on.
    """

    def __init__(self, signal: int, advice: str = "") -> None:
        super().__init__(signal, advice)
        self.signal, self.advice = signal, advice

    def __str__(self) -> str:
        name = "Ctrl+C" if self.signal == SIGINT else Signals(self.signal).name
        return f"stopped by {name}{'; ' * bool(self.advice)}{self.advice}."


class InputError(Exception):
    """Something the user gave cannot be used.

    The command line prints the message unchanged and exits with a non-zero status, so the message says what is wrong
    and what to do about it.
    """


@contextmanager
def advice(sentence: str, on: type[InputError] = InputError) -> Iterator[None]:
    """Add advice to an error that only the caller can give.

    Args:
        sentence: a whole sentence, which follows the message.
        on: the errors that it is about.
    """
    try:
        yield
    except on as error:
        raise type(error)(f"{error} {sentence}") from error


def first_line(error: BaseException) -> str:
    """Return the beginning of the message of an error, or its class if it has none."""
    return next(iter(str(error).strip().splitlines()), "")[:100] or type(error).__name__


def printable(text: str) -> str:
    r"""Return text as one line that a terminal can show: control characters as `\x1b`, a long line without its middle.

    Text from files and from the command line may be of any length and have any characters in it.
    """
    line = "".join(part if part.isprintable() else part.encode("unicode_escape").decode() for part in text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error sentence: the nearest known name, or the names there are."""
    known = sorted(set(known))
    folded = {item.lower(): item for item in known}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {folded[close[0]]}?"
    more = f" and {len(known) - FEW} more" if len(known) > FEW else ""
    return f"; there are {', '.join(known[:FEW])}{more}." if known else "."
