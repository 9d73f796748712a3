"""Stands for the command line in any process: a training that writes the number of its process and does not end."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ltr import process_state
from ltr.cli.messages import messages

if __name__ in ("__main__", "__mp_main__"):  # as its workers import this file
    process_state.GRACE = float(sys.argv[2])


def sleep(_: str, words: list[str], **__: object) -> None:
    """Train for ever."""
    begun = Path(words[words.index("--name") + 1])
    writing = begun.with_name(f".{begun.name}")
    writing.write_text(str(os.getpid()))
    writing.replace(begun)  # which is read as soon as it is there
    time.sleep(600)


if __name__ == "__main__":
    with messages("run the same command to go on"):
        from ltr.studies.study import study

        study("mine.yaml", processes=int(sys.argv[1]), perform=sleep)
