"""Images that were decoded once, kept in one file for the next time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ltr import files
from ltr.data.images import ImageFiles


def packed(images: ImageFiles, folder: Path, what: str) -> Tensor:
    """Return images (N, 3, H, W) uint8 from a file in the folder, or read them and write it.

    Args:
        images: the files; one that has changed since, by its time or size, makes another packed file.
        folder: where packed files are kept; any of them can be deleted at any time.
        what: shown beside the progress of the reading.
    """
    path = folder / f"{fingerprint(images)}.npy"
    if path.is_file():
        return torch.from_numpy(np.load(path))
    found = images.read(what)
    files.replace(path, lambda temporary: np.save(temporary, found.numpy()))
    return found


def fingerprint(images: ImageFiles) -> str:
    """Return what tells these files in this size from any others."""
    digest = hashlib.sha256(str(images.size).encode())
    for position in range(len(images)):
        source = images.source(position)
        if isinstance(source, str):
            state = Path(source).stat()
            source = f"{Path(source).resolve()}\0{state.st_size}\0{state.st_mtime_ns}\0".encode()
        digest.update(source)
    return digest.hexdigest()[:32]
