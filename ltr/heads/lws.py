"""Learnable weight scaling of a trained classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.contracts import Head, Output
from ltr.ranges import Count


class LWS(Head):
    """Learn one scale per class for a trained classifier: logits g * (W h + b).

    W and b come from the old classifier; `Tuning` without `reset` copies them. Every g_c starts at 1, so tuning starts
    from the old logits.

    Args:
        dim: size D of a feature.
        classes: number of classes C.
        freeze: keep W and b fixed; MiSLAS trains them too.

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020,
        https://arxiv.org/abs/1910.09217; official code facebookresearch/classifier-balancing. Scaling b too follows
        zhangyongshun/BagofTricks-LT and dvlab-research/MiSLAS.
    """

    added = ("scale",)

    def __init__(self, dim: Count, classes: Count, *, freeze: bool = True) -> None:
        super().__init__(dim, classes)
        self.fc = nn.Linear(dim, classes).requires_grad_(not freeze)
        self.scale = nn.Parameter(torch.ones(classes))

    def lengths(self) -> Tensor:
        """Return (1, C) the norms of the scaled rows of W."""
        lengths: Tensor = self.fc.weight.norm(dim=1)
        return (self.scale * lengths).abs()[None]

    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to logits (B, C)."""
        return Output(self.scale * self.fc(features), features)
