"""Stands for the command line in any process: a training that writes the number of its process and does not end."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ltr import process_state
from ltr.cli.messages import messages

GRACE = "GRACE_OF_SLEEPERS"  # an environment variable: seconds that a process has to end
process_state.GRACE = float(os.environ.get(GRACE, process_state.GRACE))  # in each worker, which imports this file


def sleep(_: str, words: list[str], **__: object) -> None:
    """Train for ever."""
    begun = Path(words[words.index("--name") + 1])
    writing = begun.with_name(f".{begun.name}")
    writing.write_text(str(os.getpid()))
    writing.replace(begun)  # which is read as soon as it is there
    time.sleep(600)


def sleepers(words: list[str]) -> None:
    """Be the command of a study with so many trainings at once."""
    from ltr.studies.study import study  # torch, which the workers do not need

    with messages("run the same command to go on"):
        study("mine.yaml", processes=int(*words), perform=sleep)
