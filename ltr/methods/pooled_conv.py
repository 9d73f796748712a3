"""A convolution of which only the average is wanted."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PooledConv(nn.Conv2d):
    """A 3 x 3 convolution with padding 1 and the average over all positions, without computing the positions.

    Both are linear, so the average of the convolution is the kernel times the averages of the nine shifted maps, each
    of which is that of the map without a row, a column or both.

    Args:
        channels: D, before and after.

    Shape:
        maps (B, D, h, w) -> (B, D).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the averages."""
        positions = maps.shape[2] * maps.shape[3]
        maps = maps if maps.dtype == torch.float64 else maps.float()
        rows = maps.sum(3)
        across = torch.stack([rows - maps[..., -1], rows, rows - maps[..., 0]], 3)
        whole = across.sum(2)
        shifted = torch.stack([whole - across[:, :, -1], whole, whole - across[:, :, 0]], 2)
        return F.linear(shifted.flatten(1) / positions, self.weight.flatten(1), self.bias)
