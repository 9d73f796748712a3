"""Write files whole or not at all."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ltr.errors import InputError

# The temporary files that wait for others, with their destinations. A variable of the context, so that code that writes
# a file need not know that others belong to it.
_WAITING: ContextVar[dict[Path, Path] | None] = ContextVar("_WAITING", default=None)

CHECKSUM = "sha256"  # the last key of a JSON file that is verified
# The line of a checksum, also where one of its own bytes has changed.
LAST_LINE = re.compile(r',\n  "(.{6})": "(.{64})"\n}\n\Z')
TEMPORARY = re.compile(r"\..+\.\d{1,9}(\.\w+)?")  # the names of temporary files


@contextmanager
def together() -> Iterator[None]:
    """Put the files that are written within into place at the end, all of them or none.

    The old files stay until then. The last file that was written is put into place last, also if Ctrl+C or SIGTERM come
    in between. Within another call, the files belong to that one.
    """
    if _WAITING.get() is not None:
        yield
        return
    waiting: dict[Path, Path] = {}
    token = _WAITING.set(waiting)
    try:
        yield
        try:
            _move_all(waiting)
        except KeyboardInterrupt:
            _move_all(waiting)
            raise
    finally:
        _WAITING.reset(token)
        for temporary in waiting:
            temporary.unlink(missing_ok=True)


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place.

    Args:
        path: the file to make or replace; its folder is made where it is missing.
        write: called with the temporary path, which has the same suffix.

    Raises:
        InputError: if it cannot be written, for lack of space or permissions.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    waiting = _WAITING.get()
    with _file_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(path)
            write(temporary)
            sync(temporary)
            if waiting is None:
                _move(temporary, path)
            else:
                waiting[temporary] = path
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _move_all(waiting: Mapping[Path, Path]) -> None:
    """Move the temporary files into place that are not there yet."""
    for temporary, path in waiting.items():
        if temporary.exists():
            with _file_errors(path):
                _move(temporary, path)


def _move(temporary: Path, path: Path) -> None:
    """Move a temporary file into place."""
    temporary.replace(path)
    sync(path.parent)


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
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
    replace(path, lambda temporary: write_tensors(temporary, content))


def write_tensors(temporary: Path, content: dict[str, Any]) -> None:
    """Write tensors into the temporary file of `replace`, a full disk an `OSError` like that of any other file."""
    import torch

    try:
        torch.save(content, temporary)
    except RuntimeError as error:  # torch's error on a full disk, without a word on it
        raise OSError("the disk is full, or fails") from error


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


def is_temporary(path: Path) -> bool:
    """Return whether a file is a temporary one of `replace`, which a killed process may leave behind."""
    return TEMPORARY.fullmatch(path.name) is not None


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


def write_json(path: Path, content: dict[str, Any], *, checksum: bool = False) -> None:
    """Write a JSON file, a list of numbers on one line.

    Args:
        path: the file.
        content: its content.
        checksum: whether to add a checksum as the last key, with which `read_json` notices damage.

    Raises:
        InputError: for a number that JSON does not have.
    """
    lines = []
    for key, value in content.items():
        try:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False)}")
        except ValueError as error:
            raise InputError(f"{path} could not be written: {key} has NaN or an infinite number.") from error
    if checksum:
        lines.append(f'  "{CHECKSUM}": "{digest(_json(lines))}"')
    write_text(path, _json(lines))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that `write_json` has written; one without a checksum is not verified.

    Raises:
        InputError: if it is damaged, or cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: it is not valid JSON.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged: it is not a JSON object.")
    if last := LAST_LINE.search(text):
        if last[1] != CHECKSUM or last[2] != digest(text[: last.start()] + "\n}\n"):
            raise InputError(f"{path} is damaged: its bytes have changed since it was written.")
        del content[CHECKSUM]
    return content


def _json(lines: Sequence[str]) -> str:
    """Return a JSON object, a line for each key."""
    return "{\n" + ",\n".join(lines) + "\n}\n"


def digest(text: str) -> str:
    """Return a checksum of text."""
    return hashlib.sha256(text.encode()).hexdigest()


def cell(value: Any) -> Any:
    """Return the value of a cell: text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def without_apostrophe(text: str) -> str:
    """Return the text of a cell as it was before `cell`."""
    return text[1:] if text[:1] == "'" and cell(text[1:]) == text else text


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return CSV with a column for every key that a row has; what another row lacks is empty."""
    text = io.StringIO()
    columns = dict.fromkeys(key for row in rows for key in row)
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file, as `csv_text` returns it."""
    write_text(path, csv_text(rows))
