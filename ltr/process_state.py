"""What `ltr` changes for the whole process while it works, and puts back: all of it is here.

Lightning sets the seed in the environment and draws from the global generators, so a notebook would go on with ours.
Warnings and signals are process-wide in Python.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ltr.errors import Stopped
from ltr.library_errors import library_errors

SEED = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")  # where Lightning keeps the seed
LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
REMARKS = (
    "LightningCLI's args parameter",  # they are those of the process, with paths in place of names
    ".*LeafSpec.* is deprecated",  # within Lightning
    "Checkpoint directory .* exists and is not empty",  # as a run's folder is
    "Be aware that when using `ckpt_path`, callbacks used to create",  # a test does not write a run
    "Warning: Profiler clears events",  # of torch to Lightning, which keeps the last ones
    "It is recommended to use .*sync_dist=True",  # the logged measures are of all processes
    "Found .* module.s. in eval mode at the start of training",  # as a frozen backbone is
)


@contextmanager
def isolated() -> Iterator[None]:
    """Hide messages of libraries that do not concern the user; restore seed, random generators, filters and levels.

    Raises:
        InputError: for bad input.
    """
    from ltr.seeds import Generators  # torch, which `ltr --help` does not wait for

    seed = {name: os.environ.get(name) for name in SEED}
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    generators = Generators.now()
    with library_errors(), warnings.catch_warnings():
        for remark in REMARKS:
            warnings.filterwarnings("ignore", remark)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            yield
        finally:
            generators.put()
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            for name, value in seed.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


@contextmanager
def terminal() -> Iterator[None]:
    """Print warnings as one line, without the line of code that they come from, and let SIGTERM end work as Ctrl+C."""

    def note(message: Warning | str, *_: object, **__: object) -> str:
        return f"ltr: note: {message}\n"

    usual, warnings.formatwarning = warnings.formatwarning, note
    handler = signal.getsignal(signal.SIGTERM)
    stop_on_sigterm()
    try:
        yield
    finally:
        warnings.formatwarning = usual
        if main_thread():
            signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)


def stop_on_sigterm() -> None:
    """Raise `Stopped` on SIGTERM from now on."""

    def stop(number: int, _: object) -> None:
        raise Stopped(number)

    if main_thread():  # Python refuses it in any other
        signal.signal(signal.SIGTERM, stop)


def main_thread() -> bool:
    """Return whether this is the main thread."""
    return threading.current_thread() is threading.main_thread()
