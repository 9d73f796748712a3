"""Black squares."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Transform


class Cutout(Transform):
    """Blacken a square in every image, at a place of its own; the centre lies in the image, the ends may not.

    It is black before the normalisation, as in dvlab-research/Parametric-Contrastive-Learning and LeapLabTHU/ProCo; the
    paper's code sets zeros after it, which is the mean colour.

    Args:
        size: the side of the square in pixels, even.

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
        """Return (images, size) which of `size` pixels along one side lie in the square."""
        offsets = torch.arange(size, device=device) - torch.randint(size, (images, 1), device=device)
        return (offsets >= -self.reach).logical_and(offsets < self.reach)
