"""What a folder holds, such that two runs of one command give the same."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ltr import files
from ltr.run import safetensors_files
from ltr.run.folder import LOCKS, PREVIOUS

# What no two runs have in common: the duration of a training, and torch's number of calls of a schedule.
VOLATILE = ("seconds", "_step_count")
# The checkpoint before the last, and tables with durations whose other figures are in `table.csv`.
LEFT_OUT = (PREVIOUS, "provenance.md", "table.html")


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of each file by its path; locks and what is left out do not count."""
    return {str(path.relative_to(folder)): _digest(path) for path in _files(folder) if path.name not in LEFT_OUT}


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file by its path; locks do not count."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in _files(folder)}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the paths whose content is not the same in both."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and LOCKS not in path.parts]


def _digest(path: Path) -> str:
    """Return the digest of a file, without what is volatile."""
    try:
        pieces = _pieces(_read(path))
    except Exception:  # it is damaged
        pieces = [b"damaged", path.read_bytes()]
    return hashlib.sha256(b"\0".join(pieces)).hexdigest()


def _read(path: Path) -> Any:
    """Return the content of a file."""
    match path.suffix:
        case ".ckpt" | ".pt":
            return torch.load(path, map_location="cpu", weights_only=True)
        case ".safetensors":  # whose metadata are in any order
            return sorted(safetensors_files.read(path).items())
        case ".json":
            return files.read_json(path)
        case ".csv":
            return [*csv.DictReader(io.StringIO(path.read_text()))]
    return path.read_bytes()


def _pieces(value: Any) -> list[bytes]:
    """Return a nested value as pieces."""
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, Tensor):
        numbers = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return [str((value.dtype, *value.shape)).encode(), numbers]
    if isinstance(value, dict):
        items = [(key, item) for key, item in value.items() if key not in VOLATILE]
        return [piece for key, item in items for piece in (repr(key).encode(), *_pieces(item))]
    if isinstance(value, list | tuple):
        return [b"[", *(piece for item in value for piece in _pieces(item)), b"]"]
    return [repr(value).encode()]
