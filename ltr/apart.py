"""The context in which a verb runs, from a shell or a notebook."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ltr import seeds
from ltr.sentences import sentences

LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
REMARKS = (
    "LightningCLI's args parameter",  # the arguments are the process's own, with names made paths
    ".*LeafSpec.* is deprecated",  # within Lightning
    "Checkpoint directory .* exists and is not empty",  # as a run's folder is
    "Be aware that when using `ckpt_path`, callbacks used to create",  # a test does not write a run
    "Warning: Profiler clears events",  # of torch to Lightning, which keeps the last ones
    "It is recommended to use .*sync_dist=True",  # what is logged is of all processes already
    "Found .* module.s. in eval mode at the start of training",  # as a frozen backbone is
)


@contextmanager
def apart() -> Iterator[None]:
    """Turn bad input into an `InputError`, and restore seed, random generators and warnings afterwards.

    Raises:
        InputError: for bad input.
    """
    with sentences(), seeds.borrowed(), quiet():
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Hide messages of libraries that do not concern the user."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        for remark in REMARKS:
            warnings.filterwarnings("ignore", remark)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
