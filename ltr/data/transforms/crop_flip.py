"""Random crops and flips."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Transform


class CropFlip(Transform):
    """Zero-pad, crop to the original size at a random position and flip half of the images: the basic CIFAR recipe.

    Args:
        padding: pixels added on each side.
        flip: flip half of the images horizontally.

    Reference:
        He et al., CVPR 2016, https://arxiv.org/abs/1512.03385, section 4.2.
    """

    def __init__(self, padding: int = 4, flip: bool = True) -> None:
        super().__init__()
        self.padding, self.flip = padding, flip

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        size, _, height, width = images.shape
        device = images.device
        padded = F.pad(images, (self.padding,) * 4)[None]
        rows, columns = torch.randint(2 * self.padding + 1, (2, size), device=device)
        mirrored = torch.zeros(size, dtype=torch.int64, device=device)
        if self.flip:
            mirrored = (torch.rand(size, device=device) < 0.5).long()
            padded = torch.cat([padded, padded.flip(4)])
            columns = torch.where(mirrored > 0, 2 * self.padding - columns, columns)
        # All possible crops are views of the padded images; the index copies those that were drawn.
        crops = padded.unfold(3, height, 1).unfold(4, width, 1).permute(0, 1, 3, 4, 2, 5, 6)
        return crops[mirrored, torch.arange(size, device=device), rows, columns]
