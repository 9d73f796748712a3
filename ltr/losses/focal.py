"""Focal loss on softmax probabilities."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike
from ltr.ranges import NonNegative


class Focal(Loss):
    """Focus on hard samples: -(1 - p_y)^gamma log p_y with p = softmax(z).

    To weight the classes, wrap it in `ClassBalanced` or `CostSensitive` with `weighted_mean` false. The weight then
    stays outside the modulating factor. kaidic/LDAM-DRW multiplies it into the cross-entropy first, so its p is not a
    probability and its values differ.

    Args:
        counts: (C,) training images per class; not used.
        gamma: how strongly easy samples are down-weighted; 0 is cross-entropy.
        detach: treat the modulating factor as a constant, as juyongjiang/FBL and dgme-syz/NOLB do.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, https://arxiv.org/abs/1708.02002, which uses
        sigmoids (`SigmoidFocal`); the softmax form follows kaidic/LDAM-DRW, losses.py.

    Example:
        >>> from ltr.contracts import Output
        >>> loss = Focal(torch.tensor([100, 10, 1]), gamma=2)
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.0041...
    """

    def __init__(self, counts: CountsLike, *, gamma: NonNegative = 1.0, detach: bool = False) -> None:
        super().__init__(counts)
        self.gamma, self.detach = gamma, detach

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        values = F.cross_entropy(self.precise(output.logits), labels, reduction="none")
        misses = -torch.expm1(-values)  # 1 - p_y, above 0, where a power below 1 has an infinite gradient
        factor = misses.clamp(min=torch.finfo(values.dtype).tiny).pow(self.gamma)
        return values * (factor.detach() if self.detach else factor)
