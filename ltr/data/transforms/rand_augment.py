"""RandAugment."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Transform
from ltr.data.transforms.operations import NAMES, operate

KINDS = NAMES.index("Invert")  # all operations but the last, Invert


class RandAugment(Transform):
    """Apply `number` operations to every image, each drawn from 14, all of the same magnitude.

    Args:
        number: N, operations per image.
        magnitude: M, up to 30.

    Reference:
        Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space", NeurIPS 2020,
        https://arxiv.org/abs/1909.13719; the operations and their magnitudes are those of torchvision.
    """

    def __init__(self, number: int = 2, magnitude: int = 9) -> None:
        super().__init__()
        self.number, self.level = number, magnitude / 30

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        size, device = (len(images),), images.device
        for _ in range(self.number):
            levels = self.level * (2 * torch.randint(2, size, device=device) - 1)
            images = operate(images, torch.randint(KINDS, size, device=device), levels)
        return images
