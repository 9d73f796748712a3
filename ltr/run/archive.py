"""A torch file is a zip archive, whose checksums torch writes and does not verify."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ltr.errors import InputError


def check_archive(path: Path) -> None:
    """Raise `InputError` if a torch file is damaged, or would take more memory than its size.

    A file of the format before torch 1.6 is no archive and has no checksums; it is not checked.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            begun = file.read(2) == b"PK"
        if begun:
            raise InputError(f"{path} is truncated: its end is missing.")
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            size = path.stat().st_size
            stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            fits = stored and sum(entry.file_size for entry in entries) <= size
            damaged = archive.testzip() if fits else None
    except Exception as error:  # a damaged directory makes zipfile raise almost anything
        raise InputError(f"{path} is damaged: its bytes have changed since it was written.") from error
    if not fits:
        raise InputError(f"{path} is refused: its content is compressed, and may be much larger than the file.")
    if damaged:
        raise InputError(f"{path} is damaged: its bytes have changed since it was written (in {damaged}).")
