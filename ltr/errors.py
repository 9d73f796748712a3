"""The exceptions that end a command with one sentence: bad input, and a signal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGINT, Signals


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
