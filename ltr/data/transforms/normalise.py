"""Normalisation of uint8 images."""

from __future__ import annotations

import torch
from torch import Tensor


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Scale uint8 images to [0, 1] and normalise each channel; the result is channels-last float32.

    Args:
        images: (B, 3, H, W), or views of them (B, V, 3, H, W).
        mean: (3,) channel means of pixels in [0, 1].
        std: (3,) channel standard deviations.
    """
    scale = (1 / (255 * std)).view(1, 3, 1, 1)
    shift = (-mean / std).view(1, 3, 1, 1)
    flat = images.flatten(0, -4).to(memory_format=torch.channels_last).float()
    return torch.addcmul(shift, flat, scale).view(images.shape)
