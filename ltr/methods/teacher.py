"""A frozen, trained network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ltr.contracts import Backbone, Head
from ltr.errors import advice
from ltr.run import weights


class Teacher:
    """A trained backbone and its classifier, frozen.

    It is not a module, so its parameters are not among those of the student: no optimizer, average or other process
    changes them.

    Args:
        backbone: a `Pretrained` one.
        head: of the class of the classifier in the file.
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        self.backbone, self.head = backbone, head
        backbone.adapt(head.classes)
        for part in (backbone, head):
            part.requires_grad_(False).eval()

    def load(self) -> None:
        """Read the file.

        Raises:
            InputError: if it does not fit, or has another number of classes or another kind of classifier.
        """
        classifier = self.backbone.load()
        with (
            advice("This is the file of the teacher."),
            advice("Pass the head class of its classifier with `--model.teacher_head`.", on=weights.ClassifierError),
        ):
            weights.load_head(self.head, classifier)

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to a device and a precision; the backbone is stored channels last."""
        self.backbone.to(device, dtype).to(memory_format=torch.channels_last)
        self.head.to(device, dtype)

    def state(self) -> dict[str, Any]:
        """Return the tensors, for a checkpoint."""
        return {"backbone": self.backbone.state_dict(), "head": self.head.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load the tensors of a checkpoint."""
        self.backbone.load_state_dict(state["backbone"])
        self.head.load_state_dict(state["head"])

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return features (B, D) for images (B, 3, H, W)."""
        features: Tensor = self.backbone(images)
        return features

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, C) for images (B, 3, H, W)."""
        logits: Tensor = self.head(self.features(images)).logits
        return logits
