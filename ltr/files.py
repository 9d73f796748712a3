"""Write files whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ltr.errors import InputError

# Temporary files with their destinations, while several files are written together. It is a variable of the context, so
# that what writes a file need not know whether others belong to it.
_WAITING: ContextVar[list[tuple[Path, Path]] | None] = ContextVar("_WAITING", default=None)


@contextmanager
def together() -> Iterator[None]:
    """Put the files that are written within into place at the end, all of them or none.

    The old files stay until then. The last file that was written is put into place last.
    """
    waiting: list[tuple[Path, Path]] = []
    token = _WAITING.set(waiting)
    try:
        yield
        for temporary, path in waiting:
            _move(temporary, path)
    finally:
        _WAITING.reset(token)
        for temporary, _ in waiting:
            temporary.unlink(missing_ok=True)


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place.

    Args:
        path: the file to make or replace; its folder is made where it is missing.
        write: called with the temporary path, which has the same suffix.

    Raises:
        InputError: if it cannot be written, for want of space or rights.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    waiting = _WAITING.get()
    with _told(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    if waiting is None:
        _move(temporary, path)
    else:
        waiting.append((temporary, path))


def _move(temporary: Path, path: Path) -> None:
    """Move a temporary file into place."""
    with _told(path):
        try:
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} could not be written ({error.strerror or error}): make room, or choose another folder with "
            "`--runs` or `--output`. What was there before is untouched; a training goes on with `--ckpt_path last`."
        ) from error


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors as torch does.

    Raises:
        InputError: if they cannot be written.
    """
    import torch

    def write(temporary: Path) -> None:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # on a full disk
            raise OSError(str(error).partition("\n")[0]) from error

    replace(path, write)


def copy(source: Path, path: Path) -> None:
    """Copy a file."""
    replace(path, lambda temporary: shutil.copyfile(source, temporary))


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def plain(value: Any) -> Any:
    """Return what JSON can hold: None for NaN, in lists too."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file, a list of numbers on one line.

    Raises:
        InputError: for a number that JSON does not have.
    """
    lines = []
    for key, value in content.items():
        try:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False)}")
        except ValueError as error:
            raise InputError(f"{path} could not be written: {key} has NaN or an infinite number.") from error
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file with a column for every key that a row has; what another row lacks is empty."""
    text = io.StringIO()
    columns = dict.fromkeys(key for row in rows for key in row)
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())
