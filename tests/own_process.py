"""Processes of their own for tests, which need not import everything again."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from ltr.__main__ import main
from tests.forked import CONTEXT


def started(words: Sequence[str], *, settings: Mapping[str, str] | None = None) -> BaseProcess:
    """Start a command in this folder, in a process that leads a group of its own and prints into `output.txt`.

    Args:
        words: those of the command line.
        settings: environment variables to change.
    """
    process = CONTEXT.Process(target=command, args=([*words], Path.cwd(), {**os.environ, **(settings or {})}))
    process.start()
    return process


def command(words: list[str], folder: Path, settings: dict[str, str]) -> None:
    """Be a process with nothing but one command in it."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(settings)
    torch.set_num_threads(1)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = ["ltr", *words]
    main(words)
