"""What an input gets: it is used, or refused in one sentence, in bounded time and memory; all else is a failure."""

from __future__ import annotations

import io
import os
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType

import torch

from ltr.cli.messages import messages

SECONDS = 20  # of the processor, for an input that takes 0.2 s
ROOM = 4 * 2**30  # bytes of addresses that an input may ask for
GROWTH = 2**30  # bytes that may be in use at once
START = "ltr: error: "
LONGEST = 2000  # characters of a sentence


class TooLong(BaseException):
    """An input took too much time."""


def answer(act: Callable[[], object]) -> str:
    """Do something as the command line does it.

    Returns:
        The sentence with which it is refused; empty if it is done.

    Raises:
        AssertionError: if it is refused otherwise than in one sentence, or takes too much memory.
        TooLong: if it takes too much time.
        Exception: whatever would be a traceback.
    """
    before, error, status = peak(), io.StringIO(), 0
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # which has no room for what is no Unicode, as a terminal
    with limited(), warnings.catch_warnings(record=True), redirect_stdout(out), redirect_stderr(error):
        warnings.simplefilter("always")
        try:
            with messages():
                act()
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            torch.use_deterministic_algorithms(False)
            torch.set_default_dtype(torch.float32)
    assert peak() - before < GROWTH, f"it took {(peak() - before) / 2**20:.0f} MiB"
    assert status in (0, 2), f"the status is {status}"
    if not status:
        return ""
    sentence = error.getvalue().removesuffix("\n").rpartition("\n")[2]
    assert sentence.startswith(START), f"the last line is {sentence!r}"
    assert len(START) < len(sentence) < LONGEST, f"a sentence of {len(sentence)} characters: {sentence[:200]}"
    assert sentence.isprintable(), f"the sentence has control characters: {sentence!r}"
    return sentence.removeprefix(START)


def peak() -> int:
    """Return how many bytes this process has had in use at once, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def limited() -> Iterator[None]:
    """Limit the time of the processor and, where the system says how much is in use, the addresses."""

    def stop(_: int, frame: FrameType | None) -> None:
        raise TooLong(f"more than {SECONDS} s, in {frame.f_code.co_qualname if frame else 'no function'}")

    handler = signal.signal(signal.SIGPROF, stop)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    statm = Path("/proc/self/statm")
    if statm.exists():
        used = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


@contextmanager
def empty_folder() -> Iterator[Path]:
    """Work in an empty folder, and remove it."""
    seed = os.environ.pop("PL_GLOBAL_SEED", None)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, chdir(name):
            yield Path(name)
    finally:
        if seed is not None:
            os.environ["PL_GLOBAL_SEED"] = seed
