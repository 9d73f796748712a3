"""Read weights as data: never as code."""

from __future__ import annotations

import pickle
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ltr.errors import InputError
from ltr.run import lookup, safetensors_files
from ltr.run.archive import check_archive
from ltr.run.checkpoint_fields import has_values
from ltr.run.folder import CHECKPOINT, PREVIOUS

# What the reader raises, depending on where a file breaks off.
UNREADABLE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    AssertionError,
    AttributeError,
    TypeError,
    struct.error,
)


class ClassifierError(InputError):
    """A file has no classifier, or one of another kind than the head that should receive it."""


# The part of a head that makes embeddings and no logits: a classifier is whole without it.
BESIDE = "projection."


def read(name: str) -> dict[str, Any]:
    """Read a checkpoint or a file of tensors onto the CPU.

    Args:
        name: path of a file (torch or safetensors), the name of a run, or `hf://user/name`.

    Raises:
        InputError: as `read_file` does, or if there is no such file.
    """
    path = lookup.checkpoint(name)
    try:
        return read_file(path)
    except InputError as error:
        previous = path.with_name(PREVIOUS)
        if path.name != CHECKPOINT or not previous.is_file():
            raise
        raise InputError(f"{error} The checkpoint before it is {previous}: pass it to `--ckpt_path`.") from error


def read_file(path: Path) -> dict[str, Any]:
    """Read a file of torch or of safetensors onto the CPU.

    Raises:
        InputError: if it is damaged, no file of weights, or one that would run code when read.
    """
    if path.suffix == ".safetensors":
        return safetensors_files.read(path)
    check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on the pickle protocol of what it then refuses
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is refused: it is no file of weights, or holds objects that would run code when read. Save a "
            "plain state_dict of tensors instead."
        ) from error
    except UNREADABLE as error:
        why = (str(error).splitlines() or ["it ends too early"])[0][:100]
        raise InputError(f"{path} is truncated or no checkpoint ({why}).") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, not a dictionary of weights.")
    return dict(content)


def first_line(error: BaseException) -> str:
    """Return the beginning of what an error says, or its name where it says nothing."""
    return next(iter(str(error).splitlines()), "")[:100] or type(error).__name__


def tensors(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """Return the tensors of a run of ours, a `{"state_dict": ...}` file, a bare state_dict or a safetensors file.

    Args:
        content: what `read` returned.
        name: of the file, for the error.

    Raises:
        InputError: if there are no tensors.
    """
    content = content.get("state_dict", content)
    if not isinstance(content, Mapping):
        raise InputError(f"{name} holds a {type(content).__name__} as its state_dict, not a dictionary of tensors.")
    given = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    for key, value in given.items():
        if not has_values(value):
            raise InputError(f"{name} holds no plain values for {key}, which is sparse, quantised or empty (`meta`).")
    if not given:
        raise InputError(f"{name} holds no tensors: a state_dict is expected, bare or under the key `state_dict`.")
    return given


def listing(keys: list[str], most: int = 4) -> str:
    """Name the first few of some keys and count the others."""
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more


def misfits(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Say in what found tensors differ from the wanted ones by name and shape; an empty list where they fit.

    The batch counters of batch norm, which some files lack and inference does not use, may be missing.
    """
    optional = "num_batches_tracked"
    missing = [key for key in wanted if key not in given and not key.endswith(optional)]
    unexpected = [key for key in given if key not in wanted]
    shapes = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in given and given[key].shape != wanted[key].shape
    ]
    named = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    return [f"{what}: {listing(keys)}" for what, keys in named.items() if keys]


def load_head(
    head: nn.Module,
    classifier: Mapping[str, Tensor],
    *,
    added: Sequence[str] = (),
) -> None:
    """Copy the classifier of a file into a head.

    A projection is copied if both have one; else that of the file is dropped, or that of the head keeps its initial
    values.

    Args:
        head: the head that receives it.
        classifier: tensors by the names of a head.
        added: tensors of the head that stay as they are where the file has none of that name.

    Raises:
        InputError: if the numbers of classes differ.
        ClassifierError: if there is no classifier, or one of another kind.
    """
    own = head.state_dict()
    if not classifier:
        raise ClassifierError("the file has no classifier (none is named fc, linear or classifier).")
    for key, value in classifier.items():
        if key in own and not key.startswith(BESIDE) and value.shape[:1] != own[key].shape[:1]:
            raise InputError(f"the file's classifier has {value.shape[0]} classes, the data have {own[key].shape[0]}.")
    starts = {key: value for key, value in own.items() if key in added or key.startswith(BESIDE)}
    classifier = starts | {key: value for key, value in classifier.items() if key in own or not key.startswith(BESIDE)}
    problems = misfits(classifier, own)
    if problems:
        raise ClassifierError(
            f"the file's classifier does not fit a {type(head).__name__} head ({'; '.join(problems)})."
        )
    head.load_state_dict(classifier)
