"""One transform after another."""

from __future__ import annotations

from torch import Tensor, nn

from ltr.contracts import Transform


class Chain(Transform):
    """Apply transforms in their order.

    Args:
        transforms: the transforms.
    """

    def __init__(self, transforms: list[Transform]) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(transforms)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images."""
        for transform in self.transforms:
            images = transform(images)
        return images
