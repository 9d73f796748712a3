"""What a checkpoint says beside its tensors, read without torch, which the page must not wait for."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any


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
