"""Config and curves of a run: its last checkpoint has both, the files beside it are copies for people and programs.

A copy may be edited, damaged, or older than the checkpoint, if the process was killed between the two. The checkpoint
is read without torch, which the page must not wait for.
"""

from __future__ import annotations

import csv
import io
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, TypeGuard

from ltr import files
from ltr.errors import InputError


def config_text(file: Path, checkpoint: Path) -> str:
    """Return the config of a run as YAML, empty if neither file has one.

    It is that of the file, which a user may edit: a note says so. If the file is missing or damaged, it is that of the
    checkpoint.
    """
    kept = plain_values(checkpoint).get("config")
    kept = kept if isinstance(kept, str) else ""
    if not file.is_file():
        return kept
    text = file.read_text(encoding="utf-8", errors="replace")
    if not _sections(text) >= _sections(kept):
        warnings.warn(f"{file} is damaged: the config in {checkpoint} is used.", stacklevel=2)
        return kept
    if kept and _without_comments(text) != _without_comments(kept):
        warnings.warn(f"{file} is not the config that {checkpoint} was written with; it is used.", stacklevel=2)
    return text


def rows(file: Path, checkpoint: Path) -> list[dict[str, str]]:
    """Return the rows of the curves of a run, none if neither file has any; what was not measured is empty.

    They are those of the checkpoint. A file that has others is noted; one that only lacks the last epochs is not. If
    the checkpoint is missing or has none, they are those of the file.

    Raises:
        InputError: if rows or cells are missing.
    """
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None
    kept = plain_values(checkpoint).get("curves")
    if _are_rows(kept):
        whole = files.csv_text(kept)
        if text is not None and text not in (whole, files.csv_text(kept[: text.count("\n") - 1])):
            warnings.warn(f"{file} is damaged: the curves in {checkpoint} are used.", stacklevel=2)
        text = whole
    return [] if text is None else _parsed(text, file)


def _parsed(text: str, file: Path) -> list[dict[str, str]]:
    """Return the rows of a table of consecutive epochs."""
    try:
        table = csv.DictReader(io.StringIO(text))
        found = list(table)
        epochs = [int(row["epoch"]) for row in found]
        whole = "epoch" in (table.fieldnames or ()) and all(
            None not in row and None not in row.values() for row in found
        )
    except (ValueError, TypeError, KeyError, csv.Error):
        whole = False
    if not whole or epochs != [*range(epochs[0] if epochs else 0, len(epochs))]:
        raise InputError(f"{file} is damaged: resume the run, which writes it anew, or delete it.")
    return found


def _sections(text: str) -> set[str]:
    """Return the top-level keys of a config; a file from outside is not parsed before it is checked."""
    return set(re.findall(r"(?m)^(\w+):", text))


def _without_comments(text: str) -> list[str]:
    """Return the lines of a config that are not comments."""
    return [line for line in text.splitlines() if not line.startswith("#")]


def _are_rows(value: Any) -> TypeGuard[list[dict[str, str]]]:
    """Return whether a value is the rows of a table, at least one."""
    return isinstance(value, list) and bool(value) and all(map(_is_row, value))


def _is_row(value: Any) -> bool:
    """Return whether a value maps titles to cells."""
    return isinstance(value, dict) and all(isinstance(one, str) for pair in value.items() for one in pair)


class _Nothing:
    """Stands where a pickle names a class or a function: a tensor, its storage, anything that is not plain."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take what a tensor is built from, and keep none of it."""

    def __setstate__(self, _: object) -> None:
        """Take the state of an object."""

    def __setitem__(self, _: object, __: object) -> None:
        """Take an item of a dictionary."""

    def extend(self, _: object) -> None:
        """Take the items of a list."""


class _PlainUnpickler(pickle.Unpickler):
    """Builds numbers, text, lists and dictionaries; nothing that a file names is looked up."""

    def find_class(self, _: str, __: str) -> type:
        return _Nothing

    def persistent_load(self, _: object) -> None:
        return None


def plain_values(checkpoint: Path) -> dict[str, Any]:
    """Return the content of a checkpoint of torch, with placeholders for its tensors.

    It is verified by the checksum of its entry in the archive. A file that cannot be read, is damaged there or is of
    another format gives no values: reading its weights raises the error.
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            entry = next(entry for entry in archive.infolist() if entry.filename.partition("/")[2] == "data.pkl")
            if entry.compress_type != zipfile.ZIP_STORED:  # it may be much larger than the file
                return {}
            content = _PlainUnpickler(io.BytesIO(archive.read(entry))).load()
    except Exception:  # a damaged file makes zipfile and pickle raise almost anything
        return {}
    return content if isinstance(content, dict) else {}
