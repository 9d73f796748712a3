"""Random crops and mirror images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Transform


class CropFlip(Transform):
    """Zero-pad, crop to the old size at a random place and flip half of the images: the basic CIFAR recipe.

    Args:
        padding: pixels added on each side.
        flip: whether images are mirrored.

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
        # One gather does the crop and the flip; indexing (rows, columns) last-but-channels gives channels-last memory.
        padded = F.pad(images, (self.padding,) * 4).permute(0, 2, 3, 1)
        shift = torch.randint(2 * self.padding + 1, (2, size, 1), device=device)
        rows = shift[0] + torch.arange(height, device=device)
        columns = shift[1] + torch.arange(width, device=device)
        if self.flip:
            mirrored = torch.rand(size, 1, device=device) < 0.5
            columns = torch.where(mirrored, columns.flip(1), columns)
        batch = torch.arange(size, device=device)[:, None, None]
        return padded[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
