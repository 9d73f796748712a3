"""Cutout."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Transform


class Cutout(Transform):
    """Set a random square in every image to black; its centre lies within the image.

    The square is black before normalisation, as in dvlab-research/Parametric-Contrastive-Learning and LeapLabTHU/ProCo.
    The paper's code sets it to zero after normalisation, which is the mean colour.

    Args:
        size: side of the square in pixels, even.

    Reference:
        DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017,
        https://arxiv.org/abs/1708.04552; official code uoguelph-mlrg/Cutout, util/cutout.py.
    """

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.reach = size // 2

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        rows, columns = (self.span(len(images), size, images.device) for size in images.shape[2:])
        outside = ~(rows[:, None, :, None] & columns[:, None, None, :])
        return images * outside.to(images.dtype)

    def span(self, images: int, size: int, device: torch.device) -> Tensor:
        """Return (images, size) whether each of `size` pixels along one side lies in the square."""
        offsets = torch.arange(size, device=device) - torch.randint(size, (images, 1), device=device)
        return (offsets >= -self.reach).logical_and(offsets < self.reach)
