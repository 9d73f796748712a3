"""Files of plain numbers that begin with their sha256, for what may be deleted and computed anew at any time."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ltr import files

DIGEST = 32  # bytes


def write(path: Path, values: Tensor) -> None:
    """Write the values of a tensor on the CPU, whole or not at all.

    Raises:
        InputError: if they cannot be written.
    """
    content = values.contiguous().numpy().tobytes()
    files.replace(path, lambda temporary: temporary.write_bytes(hashlib.sha256(content).digest() + content))


def read(path: Path, shape: torch.Size | tuple[int, ...], dtype: torch.dtype, otherwise: str) -> Tensor | None:
    """Return a tensor that `write` has written; None if there is no such file.

    A damaged file, or one of another size, is warned about and not used.

    Args:
        path: the file.
        shape: of the tensor.
        dtype: of its values.
        otherwise: what happens without the file, for the warning.
    """
    if not path.is_file():
        return None
    try:
        content = np.fromfile(path, np.uint8)
    except OSError:
        content = np.empty(0, np.uint8)
    size = torch.Size(shape).numel() * dtype.itemsize
    if len(content) == DIGEST + size and hashlib.sha256(content[DIGEST:].data).digest() == content[:DIGEST].tobytes():
        return torch.from_numpy(content[DIGEST:].copy()).view(dtype).view(shape)
    warnings.warn(f"{path} is damaged: {otherwise}.", stacklevel=2)
    return None
