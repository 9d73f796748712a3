"""The linear classifier."""

from __future__ import annotations

from torch import Tensor, nn

from ltr.contracts import Head, Output


class Linear(Head):
    """Map features to logits W h + b, W drawn Kaiming-normal as the CIFAR ResNets of the field do.

    Args:
        dim: size D of a feature.
        classes: number of classes C.
        bias: whether b is learned.

    Reference:
        Initialisation of kaidic/LDAM-DRW, models/resnet_cifar.py.
    """

    def __init__(self, dim: int, classes: int, *, bias: bool = True) -> None:
        super().__init__(dim, classes)
        self.fc = nn.Linear(dim, classes, bias=bias)
        nn.init.kaiming_normal_(self.fc.weight)

    def lengths(self) -> Tensor:
        """Return (1, C) the lengths of the rows of W."""
        lengths: Tensor = self.fc.weight.norm(dim=1)
        return lengths[None]

    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to logits (B, C)."""
        return Output(self.fc(features), features)
