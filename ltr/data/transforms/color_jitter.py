"""Random changes of brightness, contrast, saturation and hue."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Transform
from ltr.data.transforms import colours


class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue: strengths are drawn per image, their order per batch.

    Args:
        brightness: factors lie in [1 - brightness, 1 + brightness].
        contrast: likewise.
        saturation: likewise.
        hue: the largest shift in either direction, as a fraction of the colour circle.

    Reference:
        `ColorJitter` of torchvision, which draws the order per image.
    """

    def __init__(
        self, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4, hue: float = 0.1
    ) -> None:
        super().__init__()
        self.changes = [
            (colours.brightness, 1.0, brightness),
            (colours.contrast, 1.0, contrast),
            (colours.saturation, 1.0, saturation),
            (colours.hue, 0.0, hue),
        ]

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        for number in torch.randperm(len(self.changes)).tolist():
            change, centre, reach = self.changes[number]
            if reach:
                low, high = max(centre - reach, centre - 1), centre + reach
                images = change(images, torch.empty(len(images), device=images.device).uniform_(low, high))
        return images
