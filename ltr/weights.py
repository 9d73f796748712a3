"""Read weights as data: never as code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ltr import shipped
from ltr.errors import InputError


def read(name: str) -> dict[str, Any]:
    """Read a checkpoint or a file of tensors onto the CPU.

    Args:
        name: path of a file (torch or safetensors), or the name of a run.

    Raises:
        InputError: where it is missing, truncated, no file of weights, or one that would run code when read.
    """
    path = shipped.checkpoint(name)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise InputError(f"{path} is truncated or no safetensors file ({error}).") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is refused: it is no file of weights, or holds objects that would run code when read. Save a "
            "plain state_dict of tensors instead."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AssertionError) as error:
        raise InputError(f"{path} is truncated or no checkpoint ({str(error).splitlines()[0][:100]}).") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, not a dictionary of weights.")
    return dict(content)


def state_dict(name: str) -> dict[str, Tensor]:
    """Read the tensors of a run of ours, a `{"state_dict": ...}` file, a bare state_dict or a safetensors file.

    Raises:
        InputError: as `read` does, and where there are no tensors.
    """
    content = read(name)
    content = content.get("state_dict", content)
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f"{name} holds no tensors: a state_dict is expected, bare or under the key `state_dict`.")
    return tensors


def listing(keys: list[str], most: int = 4) -> str:
    """Name the first few of some keys and count the others."""
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more


def misfits(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Say in what found tensors differ from the wanted ones by name and shape; an empty list where they fit.

    The batch counters of batch norm, which old files do not have and inference does not use, may be missing.
    """
    optional = "num_batches_tracked"
    missing = [key for key in wanted if key not in found and not key.endswith(optional)]
    unexpected = [key for key in found if key not in wanted]
    shapes = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in found and found[key].shape != wanted[key].shape
    ]
    named = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    return [f"{what}: {listing(keys)}" for what, keys in named.items() if keys]
