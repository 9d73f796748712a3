"""The cosine classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltr.contracts import Head, Output
from ltr.ranges import Count, Positive


class Cosine(Head):
    """Map features to scaled cosines: logits s * cos(h, w_c), no bias.

    Only the head knows the scale. Without one (s = 1), no softmax probability exceeds 7 % with a hundred classes, so a
    loss on plain cosines cannot fit. Losses add offsets such as log-priors after the scale; losses with a margin read
    the scale from the output.

    Args:
        dim: size D of a feature.
        classes: number of classes C.
        scale: s; None for the norm of the feature, as in SphereFace: ||h|| cos(h, w_c).

    Reference:
        `NormedLinear` of kaidic/LDAM-DRW, models/resnet_cifar.py, with weights (D, C) and the scale in the
        loss; Cao et al., NeurIPS 2019, https://arxiv.org/abs/1906.07413.
    """

    def __init__(self, dim: Count, classes: Count, *, scale: Positive | None = 30.0) -> None:
        super().__init__(dim, classes)
        self.scale = scale
        self.weight = nn.Parameter(F.normalize(torch.empty(classes, dim).uniform_(-1, 1)))

    @torch.no_grad()
    def start_from(self, rows: Tensor) -> None:
        """Start from a direction (C, D) for each class."""
        self.weight.copy_(rows)

    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to logits (B, C)."""
        cosines = F.linear(F.normalize(features), F.normalize(self.weight))
        if self.scale is None:
            return Output(features.norm(dim=1, keepdim=True) * cosines, features, scale="norm")
        return Output(self.scale * cosines, features, scale=self.scale)
