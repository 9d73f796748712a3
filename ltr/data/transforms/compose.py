"""Transforms made of other transforms, and the one that changes nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.contracts import Transform
from ltr.errors import InputError


class Plain(Transform):
    """Return the images unchanged."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the images."""
        return images


class Compose(Transform):
    """Apply transforms in their order; only the last one may make several views.

    Args:
        transforms: the transforms.
    """

    def __init__(self, transforms: list[Transform]) -> None:
        super().__init__()
        if any(transform.views > 1 for transform in transforms[:-1]):
            raise InputError("only the last transform of Compose may make several views: let MultiView come last.")
        self.views = transforms[-1].views if transforms else 1
        self.mirrors = any(transform.mirrors for transform in transforms)
        self.transforms = nn.ModuleList(transforms)

    @property
    def title(self) -> str:
        """The names of the transforms, for the provenance of a result."""
        return " + ".join(str(transform.title) for transform in self.transforms)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to the output of the last transform."""
        for transform in self.transforms:
            images = transform(images)
        return images


class MultiView(Transform):
    """Augment every image several times, for contrastive losses.

    The classifier learns from the first view; the embeddings are those of all views.

    Args:
        transforms: one for each view, in their order; a transform may be repeated.

    Shape:
        images (B, 3, H, W) -> (B, V, 3, H', W').
    """

    def __init__(self, transforms: list[Transform]) -> None:
        super().__init__()
        if len(transforms) < 2 or any(transform.views > 1 for transform in transforms):
            raise InputError("MultiView needs at least two transforms, each of which makes one view.")
        self.transforms = nn.ModuleList(transforms)
        self.views = len(transforms)
        self.mirrors = any(transform.mirrors for transform in transforms)

    @property
    def title(self) -> str:
        """The names of the transforms, for the provenance of a result."""
        return " | ".join(str(transform.title) for transform in self.transforms)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 views (B, V, 3, H', W')."""
        return torch.stack([transform(images) for transform in self.transforms], 1)
