"""Several augmented versions of an image at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.contracts import Transform
from ltr.errors import InputError


class Views(Transform):
    """Augment every image several times, for contrastive losses.

    The first view is what the classifier learns from; the embeddings are of all of them.

    Args:
        transforms: one for each view, in their order; the same one may be named again.

    Shape:
        images (B, 3, H, W) -> (B, V, 3, H', W'), the views of an image side by side.
    """

    def __init__(self, transforms: list[Transform]) -> None:
        super().__init__()
        if len(transforms) < 2 or any(transform.views > 1 for transform in transforms):
            raise InputError("Views needs at least two transforms, each of which makes one view.")
        self.transforms = nn.ModuleList(transforms)
        self.views = len(transforms)

    @property
    def title(self) -> str:
        """What a result says of it."""
        return " | ".join(str(transform.title) for transform in self.transforms)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 views (B, V, 3, H', W')."""
        return torch.stack([transform(images) for transform in self.transforms], 1)
