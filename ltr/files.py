"""Write files whole or not at all."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ltr.errors import InputError


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place.

    Args:
        path: the file to make or replace; its folder is made where it is missing.
        write: called with the temporary path, which has the same suffix.

    Raises:
        InputError: if it cannot be written, for want of space or rights.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        write(temporary)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise InputError(
            f"{path} could not be written ({error.strerror or error}): make room, or choose another folder with "
            "`--runs` or `--output`. What was there before is untouched; a training goes on with `--ckpt_path last`."
        ) from error
    finally:
        if temporary.exists():
            temporary.unlink()


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk: a rename may get there before the content."""
    if os.name != "posix" and path.is_dir():  # Windows does not open folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot do it
            raise
    finally:
        os.close(descriptor)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `path` that killed processes of this machine have left behind."""
    pattern = re.compile(rf"\.{re.escape(path.stem)}\.(\d{{1,9}}){re.escape(path.suffix)}")
    for name in os.listdir(path.parent) if os.name == "posix" else ():  # elsewhere a signal of 0 ends a process
        if (match := pattern.fullmatch(name)) and not runs(int(match[1])):
            (path.parent / name).unlink(missing_ok=True)


def runs(process: int) -> bool:
    """Return whether a process of this machine is running."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


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
    """Write a JSON file, a list of numbers on one line."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in content.items()]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def cell(value: Any) -> Any:
    """Return the value of a cell: text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file with a column for every key that a row has; what another row lacks is empty."""
    text = io.StringIO()
    columns = dict.fromkeys(key for row in rows for key in row)
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    write_text(path, text.getvalue())
