"""The config that belongs to a checkpoint: beside it in the folder of its run, or in it."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from ltr.errors import InputError
from ltr.run.folder import CHECKPOINT, CONFIG


def config_text(checkpoint: Path) -> str:
    """Return the config that belongs to a checkpoint as YAML, empty if there is none.

    That of the last checkpoint of a run is the file beside it, which a user may have edited: a note says so. If that
    file is damaged or missing, and for any other checkpoint, it is the config in the checkpoint.

    Raises:
        InputError: if the checkpoint cannot be read.
    """
    from ltr.run import torch_files, weights  # torch, which the page must not wait for

    beside = checkpoint.with_name(CONFIG)
    if checkpoint.name != CHECKPOINT or not beside.is_file():
        text = weights.read(str(checkpoint)).get("config")
        return text if isinstance(text, str) else ""
    text, kept = beside.read_text(encoding="utf-8", errors="replace"), torch_files.config_in(checkpoint)
    if not _sections(text) >= _sections(kept):
        warnings.warn(f"{beside} is damaged: the config in {checkpoint} is used.", stacklevel=2)
        return kept
    if kept and _without_comments(text) != _without_comments(kept):
        warnings.warn(f"{beside} is not the config that {checkpoint} was written with; it is used.", stacklevel=2)
    return text


def _sections(text: str) -> set[str]:
    """Return the top-level keys of a config; a file from outside is not parsed before it is checked."""
    return set(re.findall(r"(?m)^(\w+):", text))


def _without_comments(text: str) -> list[str]:
    """Return the lines of a config that are not comments."""
    return [line for line in text.splitlines() if not line.startswith("#")]


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
