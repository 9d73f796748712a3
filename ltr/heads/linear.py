"""The linear classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.contracts import Head, Output
from ltr.ranges import Count


class Linear(Head):
    """Map features to logits W h + b, with W initialised Kaiming-normal.

    Args:
        dim: size D of a feature.
        classes: number of classes C.
        bias: learn b; without it there is none.

    Reference:
        The initialisation is that of kaidic/LDAM-DRW, models/resnet_cifar.py.
    """

    def __init__(self, dim: Count, classes: Count, *, bias: bool = True) -> None:
        super().__init__(dim, classes)
        self.fc = nn.Linear(dim, classes, bias=bias)
        nn.init.kaiming_normal_(self.fc.weight)

    def lengths(self) -> Tensor:
        """Return (1, C) the norms of the rows of W."""
        lengths: Tensor = self.fc.weight.norm(dim=1)
        return lengths[None]

    @torch.no_grad()
    def start_from(self, rows: Tensor) -> None:
        """Start from a direction (C, D) for each class, with a bias of 0."""
        self.fc.weight.copy_(rows)
        if self.fc.bias is not None:
            self.fc.bias.zero_()

    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to logits (B, C)."""
        return Output(self.fc(features), features)
