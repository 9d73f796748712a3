"""The checkpoints of a run: written whole or not at all, verified when read, and the one before is kept."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_warn

from ltr import files
from ltr.errors import InputError
from ltr.run import torch_files, weights
from ltr.run.checkpoint_fields import check_fields
from ltr.run.folder import CHECKPOINT, PREVIOUS, RunFolder


class WholeFiles(TorchCheckpointIO):
    """Write checkpoints so that a full disk, a kill or later damage to one loses at most the last epoch.

    Args:
        known: the checkpoints that were read before, by path. Each is taken out of it when it is asked for.
    """

    def __init__(self, known: dict[str, dict[str, Any]]) -> None:
        self.known = known

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint of either kind, as data and onto the CPU.

        Raises:
            InputError: if it cannot be read, or is not a checkpoint of Lightning.
        """
        content = self.known.pop(str(path), None) or weights.read(str(path))
        if "pytorch-lightning_version" not in content:
            raise InputError(
                f"{path} is not the checkpoint of a training: start a new one from its weights with `--model.backbone "
                f"Pretrained --model.backbone.checkpoint {shlex.quote(str(path))}`."
            )
        check_fields(content, path)
        return content

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint. The last one of a run is kept beside the new one.

        Raises:
            InputError: if it cannot be written.
        """
        final = Path(path)

        def write(temporary: Path) -> None:
            files.write_tensors(temporary, checkpoint)
            if final.name == CHECKPOINT:
                keep(final)

        files.replace(final, write)


def keep(last: Path) -> None:
    """Make the last checkpoint of a run the one before the last, unless it is damaged."""
    try:
        torch_files.check_archive(last)
    except (InputError, OSError):  # damaged, or there is none
        return
    second_name = last.with_name(f".{PREVIOUS}")
    second_name.unlink(missing_ok=True)
    try:
        os.link(last, second_name)
    except OSError:  # a file system without links
        last.rename(second_name)
    second_name.replace(last.with_name(PREVIOUS))
    second_name.unlink(missing_ok=True)  # a rename between two names of one file leaves both


def resumable(run: RunFolder) -> Path:
    """Return the last checkpoint of a run; if it is damaged, the one before, with a warning.

    Raises:
        InputError: if there is none that can be read.
    """
    last, previous = run.checkpoint, run.path / PREVIOUS
    if not last.is_file() and not previous.is_file():
        raise InputError(f"there is nothing to resume: {last} does not exist. Leave out `--ckpt_path` to start anew.")
    try:
        torch_files.read(last)
    except (InputError, OSError) as error:
        if not previous.is_file():
            raise
        torch_files.read(previous)
        reason = str(error) if isinstance(error, InputError) else f"{last} is missing."
        rank_zero_warn(f"{reason} The training goes on from the checkpoint before it, {previous}.")
        return previous
    return last
