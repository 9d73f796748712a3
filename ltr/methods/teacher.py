"""A trained network that says what it thinks of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ltr.contracts import Backbone, Head
from ltr.errors import advice
from ltr.run import weights


class Teacher:
    """A backbone and its classifier, frozen for good.

    It is no module, so that it is no part of the network that learns from it: neither its parameters nor its tensors
    appear there, and no optimizer, average or other process touches them.

    Args:
        backbone: a `Pretrained` one.
        head: of the kind of the classifier in the file.
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        self.backbone, self.head = backbone, head
        for part in (backbone, head):
            part.requires_grad_(False).eval()

    def load(self) -> None:
        """Read the file.

        Raises:
            InputError: where it does not fit, for another number of classes or another kind of classifier, too.
        """
        classifier = self.backbone.load()
        with (
            advice("It is the file of the teacher."),
            advice("Name the kind of its classifier with `--model.teacher_head`.", on=weights.ClassifierError),
        ):
            weights.load_head(self.head, classifier)

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to where the batches are and to their precision, and lay the backbone out for the images."""
        self.backbone.to(device, dtype).to(memory_format=torch.channels_last)
        self.head.to(device, dtype)

    def state(self) -> dict[str, Any]:
        """Return the tensors, for a checkpoint."""
        return {"backbone": self.backbone.state_dict(), "head": self.head.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over the tensors of a checkpoint."""
        self.backbone.load_state_dict(state["backbone"])
        self.head.load_state_dict(state["head"])

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, C) for images (B, 3, H, W)."""
        logits: Tensor = self.head(self.backbone(images)).logits
        return logits
