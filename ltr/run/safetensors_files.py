"""A checkpoint as a safetensors file: tensors by their names, and all else as text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ltr.errors import InputError

STATE = "state_dict"  # its tensors keep their names, so that other programs find them where they look for them
REST = "checkpoint"
DIGEST = "sha256"


def write(path: Path, content: Mapping[str, Any], about: Mapping[str, str]) -> None:
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
    metadata = {"format": "pt", **about, REST: json.dumps(rest)}
    path.write_bytes(save(named, {**metadata, DIGEST: digest(named, metadata)}))


def digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] = {}) -> str:
    """Return the sha256 of tensors and their names: the identity of a network, or, with the metadata, of a file.

    Safetensors have no checksums of their own.
    """
    found = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {[*tensor.shape]}".encode())
        # A copy, since `contiguous` may keep a stride of 0.
        ordered = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        found.update(ordered.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


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
        InputError: if it is truncated or damaged, or no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary
    except (SafetensorError, ValueError, OSError, RuntimeError) as error:
        raise InputError(f"{path} is truncated or no safetensors file ({error}).") from error
    if REST not in metadata:
        return dict(tensors)
    kept = metadata.pop(DIGEST, None)
    if kept is not None and kept != digest(tensors, metadata):
        raise InputError(f"{path} is damaged: its bytes have changed since it was written.")
    try:
        return joined(tensors, json.loads(metadata[REST]))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is refused: its metadata are not those of a checkpoint of `ltr`.") from error


def joined(tensors: Mapping[str, Tensor], rest: Any) -> dict[str, Any]:
    """Return what `parted` has parted.

    Raises:
        TypeError: if the two do not fit.
    """
    content: dict[str, Any] = {STATE: {}, **rest}
    for name, tensor in tensors.items():
        *way, last = name.split("/") if "/" in name else (STATE, name)
        inner = content
        for step in way:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise TypeError(name)
        inner[last] = tensor
    return content
