"""A trained classifier whose classes are only scaled."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.contracts import Head, Output


class LWS(Head):
    """Learn one scale per class for a classifier that is already trained: logits g * (W h + b).

    W and b are those of the old classifier, as a `Tuning` without `reset` copies them; every g_c starts at 1, so the
    tuning starts from the old logits.

    Args:
        dim: size D of a feature.
        classes: number of classes C.
        freeze: whether W and b stay as they are; MiSLAS trains them too.

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020,
        https://arxiv.org/abs/1910.09217; official code facebookresearch/classifier-balancing. Scaling b too is the form
        of zhangyongshun/BagofTricks-LT and of dvlab-research/MiSLAS.
    """

    added = ("scale",)

    def __init__(self, dim: int, classes: int, *, freeze: bool = True) -> None:
        super().__init__(dim, classes)
        self.fc = nn.Linear(dim, classes).requires_grad_(not freeze)
        self.scale = nn.Parameter(torch.ones(classes))

    def lengths(self) -> Tensor:
        """Return (1, C) the lengths of the rows of W as they are scaled."""
        lengths: Tensor = self.fc.weight.norm(dim=1)
        return (self.scale * lengths).abs()[None]

    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to logits (B, C)."""
        return Output(self.scale * self.fc(features), features)
