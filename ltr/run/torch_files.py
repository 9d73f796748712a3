"""Files of torch, which are read as data and never as code."""

from __future__ import annotations

import argparse
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltr.errors import InputError
from ltr.sentences import first_line

# What the reader raises, depending on where a file breaks off.
UNREADABLE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    AssertionError,
    AttributeError,
    TypeError,
    struct.error,
)
# Values beside the weights in checkpoints of public code: numbers of numpy, whose modules numpy 2 has renamed, and the
# arguments of a script. Building them runs no code of the file.
HARMLESS: list[Any] = [
    *((np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    np.dtype,
    *(type(np.dtype(kind)) for kind in "?bhilqBHILQefd"),
    argparse.Namespace,
]

SHARED = 4  # numbers in tensors to bytes of their file: one number may stand for any number of them


def read(path: Path) -> dict[str, Any]:
    """Read a file onto the CPU.

    Raises:
        InputError: if it is damaged, no file of weights, or one that would run code when read.
    """
    check_archive(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(HARMLESS):
            warnings.simplefilter("ignore")  # torch remarks on the pickle protocol of what it then refuses
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        kind = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it holds a {kind[1]}, which" if kind else "it is not a file of weights, or holds an object that"
        raise InputError(
            f"{path} is refused: {reason} could run code when it is read. Save a plain state_dict of tensors instead."
        ) from error
    except UNREADABLE as error:
        raise InputError(f"{path} is truncated or no checkpoint ({first_line(error)}).") from error
    if (numbers := sum(tensor.numel() for tensor in tensors(content))) > SHARED * path.stat().st_size:
        raise InputError(f"{path} is refused: its tensors repeat what it holds, up to {numbers:,} numbers.")
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, not a dictionary of weights.")
    return dict(content)


def tensors(content: Any) -> Iterator[Tensor]:
    """Yield the tensors in dictionaries and lists, each once; these may contain themselves."""
    waiting, seen = [content], set[int]()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value


def check_archive(path: Path) -> None:
    """Raise `InputError` if a file is damaged, or would take more memory than its size.

    It is a zip archive, whose checksums torch writes and does not verify. A file of the format before torch 1.6 is not
    an archive and has no checksums; it is not checked.
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
