"""The config that belongs to a checkpoint: beside it in the folder of its run, or in it."""

from __future__ import annotations

from pathlib import Path

from ltr.errors import InputError
from ltr.run import side_files
from ltr.run.folder import CHECKPOINT, CONFIG


def config_text(checkpoint: Path) -> str:
    """Return the config that belongs to a checkpoint as YAML, empty if there is none.

    That of the last checkpoint of a run is the file beside it, which a user may have edited: a note says so. If that
    file is damaged or missing, and for any other checkpoint, it is the config in the checkpoint.

    Raises:
        InputError: if the checkpoint cannot be read.
    """
    beside = checkpoint.with_name(CONFIG)
    if checkpoint.name == CHECKPOINT and beside.is_file():
        return side_files.config_text(beside, checkpoint)
    from ltr.run import weights  # torch, which the page must not wait for

    text = weights.read(str(checkpoint)).get("config")
    return text if isinstance(text, str) else ""


def own_config(checkpoint: Path) -> str:
    """Return the config that belongs to a checkpoint as YAML.

    Raises:
        InputError: if there is none, or the checkpoint cannot be read.
    """
    if not (text := config_text(checkpoint)):
        raise InputError(
            f"{checkpoint} is not a run of `ltr`: there is no config in it or beside it. Start from its weights with "
            "`ltr fit --config pretrained.yaml --model.backbone.checkpoint`."
        )
    return text
