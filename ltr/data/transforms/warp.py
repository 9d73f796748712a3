"""Affine warps and random rotations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Transform


class Rotation(Transform):
    """Rotate every image about its centre by a random angle; the corners become black.

    Args:
        degrees: the largest angle in either direction.

    Reference:
        The recipe of Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; frank-xwang/RIDE-LongTailRecognition.
    """

    def __init__(self, degrees: float = 15.0) -> None:
        super().__init__()
        self.degrees = degrees

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        angles = torch.empty(len(images), device=images.device).uniform_(-self.degrees, self.degrees)
        return warp(images, rotation(angles))


def warp(images: Tensor, matrices: Tensor, fill: int = 0) -> Tensor:
    """Warp images by affine matrices with nearest-pixel sampling.

    Args:
        images: (B, C, H, W) uint8.
        matrices: (B, 2, 3) from (x, y, 1) in the result to (x, y) in the image, in pixels from the centre, y downwards.
        fill: the value of pixels from outside the image.
    """
    grid = positions(matrices, list(images.shape))
    # `grid_sample` fills with 0, so that the fill has to be 0 meanwhile.
    return (F.grid_sample(images.float() - fill, grid, mode="nearest", align_corners=False) + fill).to(images.dtype)


def positions(matrices: Tensor, shape: list[int]) -> Tensor:
    """Return the (B, H, W, 2) sampling grid of `grid_sample` for images of a shape (B, C, H, W).

    Args:
        matrices: (B, 2, 3) as for `warp`.
        shape: of the images.
    """
    half = matrices.new_tensor([shape[3] / 2, shape[2] / 2])
    return F.affine_grid(matrices * torch.cat([half, half.new_ones(1)]) / half[:, None], shape, align_corners=False)


def rotation(angles: Tensor) -> Tensor:
    """Return (B, 2, 3) matrices that rotate images counter-clockwise by angles (B,) in degrees."""
    angles = angles.deg2rad()
    cosine, sine, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    return torch.stack([cosine, -sine, zero, sine, cosine, zero], 1).view(-1, 2, 3)
