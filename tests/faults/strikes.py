"""A process counts its file operations and strikes itself at one of them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.link")


@dataclass(frozen=True)
class Strike:
    """A signal that a process sends to itself at a file operation in its folder.

    Attributes:
        signal: its number.
        event: the number of the operation.
        name: count the renames to this name only, in place of all operations.
    """

    signal: int
    event: int
    name: str = ""


def count_events(folder: Path, strike: Strike | None) -> list[int]:
    """Count the file operations in a folder from now on, and strike at one of them; return the counter."""
    count, inside = [0], str(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or not isinstance(arguments[0], str | os.PathLike):
            return
        path = os.path.abspath(arguments[0])
        if not path.startswith(inside):
            return
        if strike and strike.name and (event != "os.rename" or Path(arguments[1]).name != strike.name):
            return
        count[0] += 1
        if strike and count[0] == strike.event:
            os.kill(os.getpid(), strike.signal)

    sys.addaudithook(hook)
    return count
