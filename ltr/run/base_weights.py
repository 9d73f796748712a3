"""Checkpoints without the weights that their training did not change: a digest says which these are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from ltr.errors import InputError
from ltr.run.safetensors_files import digest

KEY = "base_weights"
STATES = ("state_dict", "current_model_state")  # beside the average of a run with EMA are its current weights
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
TYPES = {str(kind).removeprefix("torch."): kind for kind in FLOATS}


class Network(Protocol):
    """A network that can read the weights again from which its training started."""

    def load(self) -> Any:
        """Read them."""

    def state_dict(self) -> dict[str, Any]:
        """Return its tensors by name."""


def leave_out(checkpoint: dict[str, Any], names: Collection[str]) -> None:
    """Remove weights from a checkpoint, and keep their names, types and digest in it.

    Args:
        checkpoint: what is about to be written.
        names: of the weights of the backbone; nothing happens if there are none.
    """
    if not names:
        return
    base = {name: checkpoint["state_dict"][name] for name in names}
    types = {name: str(value.dtype).removeprefix("torch.") for name, value in base.items()}
    checkpoint[KEY] = {"sha256": digest(base), "types": types}
    for state in STATES:
        if state in checkpoint:
            checkpoint[state] = {name: value for name, value in checkpoint[state].items() if name not in base}


def restore(checkpoint: dict[str, Any], network: Network, name: str) -> None:
    """Read the weights that `leave_out` removed into a network, and put them back into its checkpoint.

    Args:
        checkpoint: as it was read; a whole one stays as it is.
        network: the backbone.
        name: of the checkpoint, for the error.

    Raises:
        InputError: if the weights are missing, or others.
    """
    if KEY in checkpoint:
        try:
            network.load()
            complete(checkpoint, network.state_dict())
        except InputError as error:
            raise InputError(
                f"{name} has only what its training changed, and the weights that it started from are missing: {error}"
            ) from error


def complete(checkpoint: dict[str, Any], backbone: Mapping[str, Tensor]) -> None:
    """Put the weights back that `leave_out` removed.

    Args:
        checkpoint: its state_dicts are changed.
        backbone: the tensors of the backbone, the weights among them.

    Raises:
        InputError: if they are others.
    """
    left = checkpoint.pop(KEY)
    known = {f"backbone.{name}": value for name, value in backbone.items()}
    base = {name: known[name].to(TYPES[kind]) for name, kind in left["types"].items() if name in known}
    if (found := digest(base)) != left["sha256"]:
        raise InputError(f"what is in their place has the sha256 {found[:12]}, not {left['sha256'][:12]}.")
    for state in STATES:
        if state in checkpoint:
            checkpoint[state].update(base)


def is_sound(value: Any) -> bool:
    """Return whether a value is what `leave_out` keeps of the weights."""
    return (
        isinstance(value, dict)
        and value.keys() == {"sha256", "types"}
        and isinstance(value["sha256"], str)
        and isinstance(value["types"], dict)
        and all(isinstance(name, str) and kind in TYPES for name, kind in value["types"].items())
    )
