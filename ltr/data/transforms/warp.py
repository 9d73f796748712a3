"""Affine warps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Warp images by affine matrices with nearest-pixel sampling; pixels from outside are black.

    Args:
        images: (B, C, H, W) uint8.
        matrices: (B, 2, 3) from (x, y, 1) in the result to (x, y) in the image, in pixels from the centre, y downwards.
    """
    grid = positions(matrices, list(images.shape))
    return F.grid_sample(images.float(), grid, mode="nearest", align_corners=False).to(images.dtype)


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
