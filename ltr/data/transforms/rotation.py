"""Random rotations."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Transform
from ltr.data.transforms.warp import rotation, warp


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
