"""The folders of drivers that were killed, with the file systems that are mounted in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ltr import files

PREFIX = "ltr_faults_"


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder for this process, and remove it at the end; remove first those of drivers that were killed."""
    remove_leftovers()
    path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}_"))
    try:
        yield path
    finally:
        remove(path)


def remove_leftovers() -> None:
    """Remove the folders of drivers that no longer run."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = re.match(rf"{PREFIX}(\d+)_", path.name)
        if owner and not files.runs(int(owner[1])):
            remove(path)


def remove(path: Path) -> None:
    """Remove a folder and unmount what is mounted in it."""
    for mounted in mounts(path):
        subprocess.run(["umount", "-l", mounted], check=True)
    shutil.rmtree(path, ignore_errors=True)


def mounts(path: Path) -> list[Path]:
    """Return where file systems are mounted in a folder, the innermost ones first."""
    table = Path("/proc/self/mounts")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    places = [Path(line.split()[1]) for line in lines]
    return [place for place in reversed(places) if place.is_relative_to(path.resolve())]
