"""Images that no training has seen."""

from __future__ import annotations

import torch

from ltr.backbones import Pretrained
from ltr.data import LongTailed
from ltr.errors import InputError
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
    unknown = torch.zeros_like(method.split) if isinstance(method.backbone, Pretrained) else method.split
    for what, seen in (("backbone", getattr(method, "backbone_split", unknown)), ("head", method.split)):
        if bytes(seen.cpu().tolist()) != here:
            raise InputError(
                f"{need} images that the {what} has not seen, but it was trained on another split or an unknown one: "
                f"train it with the same `--data.val_per_class`, or {instead}."
            )
