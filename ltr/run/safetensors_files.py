"""A checkpoint as a safetensors file: tensors by their names, and all else as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ltr.errors import InputError

STATE = "state_dict"  # its tensors keep their names, so that other programs find them where they look for them
REST = "checkpoint"


def write(path: Path, content: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write a checkpoint.

    Tensors beside the state_dict are named by their path, `training_record/images`; everything else is in the metadata.

    Args:
        path: of the file.
        content: the checkpoint: tensors, and what JSON can hold.
        about: what the metadata say besides, for people and other programs.
    """
    from safetensors.torch import save

    tensors, rest = parted(content)
    named = {name.removeprefix(f"{STATE}/"): tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    path.write_bytes(save(named, {"format": "pt", **metadata, REST: json.dumps(rest)}))


def parted(content: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Part nested content into its tensors, each by its way to it, and the rest."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            inner, rest[key] = parted(value)
            tensors |= {f"{key}/{name}": tensor for name, tensor in inner.items()}
        elif isinstance(value, Tensor):
            tensors[key] = value
        else:
            rest[key] = value
    return tensors, rest


def about(path: Path) -> dict[str, str]:
    """Return what the metadata of a file say.

    Raises:
        InputError: if it is truncated or no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise InputError(f"{path} is truncated or no safetensors file ({error}).") from error


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote, or the tensors of any other such file.

    Raises:
        InputError: if it is truncated or no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            rest = (file.metadata() or {}).get(REST)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary
        content: dict[str, Any] = tensors if rest is None else {STATE: {}, **json.loads(rest)}
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{path} is truncated or no safetensors file ({error}).") from error
    if rest is not None:
        for name, tensor in tensors.items():
            *way, last = name.split("/") if "/" in name else (STATE, name)
            inner = content
            for step in way:
                inner = inner.setdefault(step, {})
            inner[last] = tensor
    return content
