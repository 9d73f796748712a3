"""Checkpoints are written whole or not at all, and read as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from ltr import files
from ltr.errors import InputError
from ltr.run.weights import first_line, read


class WholeFiles(TorchCheckpointIO):
    """Write a checkpoint beside the old one and move it into place, so that a full disk or a kill loses nothing."""

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint of either kind, as data and onto the CPU.

        Raises:
            InputError: if it cannot be read, or is not a checkpoint of Lightning.
        """
        content = read(str(path))
        if not isinstance(content.get("pytorch-lightning_version"), str):
            raise InputError(
                f"{path} is not the checkpoint of a training: start a new one from its weights with `--model.backbone "
                f"Pretrained --model.backbone.checkpoint {path}`."
            )
        return content

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        Raises:
            InputError: if it cannot be written.
        """

        def write(temporary: Path) -> None:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:  # torch's word for a full disk
                raise OSError(first_line(error)) from error

        files.replace(Path(path), write)
