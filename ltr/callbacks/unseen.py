"""Images that a training has seen, and those that none has."""

from __future__ import annotations

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from ltr.backbones import Pretrained
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.markdown import plural
from ltr.methods import Method


def refuse_seen(method: Method, data: LongTailed, need: str, instead: str) -> None:
    """Raise unless there is a validation split and every training of the network is known to have left it out.

    Args:
        method: the network.
        data: its data.
        need: who needs the images, with the verb: the beginning of the sentence.
        instead: what to do without them.

    Raises:
        InputError: where there is no such split.
    """
    if "val" not in data.splits:
        raise InputError(
            f"{need} a validation split: train backbone and head with `--data.val_per_class`, or {instead}."
        )
    here = bytes.fromhex(data.fingerprints["train"])
    for what, seen in trained_splits(method).items():
        if bytes(seen.cpu().tolist()) != here:
            raise InputError(
                f"{need} images that the {what} has not seen, but it was trained on another split or an unknown one: "
                f"train it with the same `--data.val_per_class`, or {instead}."
            )


def trained_splits(method: Method) -> dict[str, Tensor]:
    """Return the fingerprints (32,) of the images that backbone and head were trained on, zeros where unknown."""
    unknown = torch.zeros_like(method.split) if isinstance(method.backbone, Pretrained) else method.split
    return {"backbone": getattr(method, "backbone_split", unknown), "head": method.split}


def count_seen(method: Method, data: LongTailed, name: str) -> int | None:
    """Return how many images of a split the network was trained on, with a note where there are some.

    Equal files are found, and equal pixels in memory; not an image that was resized, recoded or is merely alike.

    Args:
        method: the network.
        data: its data, set up.
        name: the split.

    Returns:
        The number; None where none is found, but not all that the network has seen is known.
    """
    seen = method.exposure.among(data.contents(name)) if len(method.exposure.images) else method.exposure.among()
    if seen:
        rank_zero_warn(
            f"the network was trained on {seen:,} of the {plural(len(data.splits[name].labels), 'image')} of the "
            f"{name} split, so its figures there say less of new images."
        )
    return seen
