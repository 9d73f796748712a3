"""The feature-balanced loss: encourage longer features for rare classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, populated
from ltr.ranges import NonNegative, PositiveFraction


class FeatureBalanced(Loss):
    """Lower the logits of rare classes less, the longer the feature: -log softmax(z - kappa A lambda / |h|)_y.

    lambda_c = (log N_max - log N_c) / (log N_max - log N_min) runs from 0 (largest class) to 1 (smallest class); it is
    0 if all counts are equal. The gradient includes the norm |h| of the feature. The curriculum is
    kappa = (epoch / (full epochs))^2 with epochs from 0, so the first epoch is cross-entropy. The official code uses
    (epoch / (epochs - 10))^2: the same in 200 epochs, but undefined in 10. At test time the plain logits are used.

    Args:
        counts: (C,) training images per class, N_c.
        strength: A; 60 on CIFAR, 150 on larger sets.
        full: the fraction of training at which kappa reaches 1.

    Shape:
        output.logits (B, C), output.features (B, D), labels (B,) -> (B,).

    Reference:
        Li et al., "Feature-Balanced Loss for Long-Tailed Visual Recognition", ICME 2022,
        https://arxiv.org/abs/2305.10772; official code juyongjiang/FBL, loss.py and train.py.

    Example:
        >>> from ltr.contracts import Output
        >>> loss = FeatureBalanced(torch.tensor([100, 10, 1]))
        >>> loss.set_epoch(190, 200)
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.full((1, 9), 10.0)), torch.tensor([0])).item()
        0.0549...
    """

    needs = ("features",)
    handicaps: Tensor

    def __init__(self, counts: CountsLike, *, strength: NonNegative = 60.0, full: PositiveFraction = 0.95) -> None:
        super().__init__(counts)
        self.full, self.curriculum = full, 0.0
        numbers = populated(counts)
        gaps = (numbers.max() / numbers).log()
        ratios = gaps / gaps.max().clamp(min=torch.finfo(gaps.dtype).tiny)
        self.register_buffer("handicaps", strength * ratios.to(torch.get_default_dtype()), persistent=False)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        self.curriculum = (epoch / (self.full * epochs)) ** 2

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        lengths = self.precise(output.features).norm(dim=1, keepdim=True).clamp(min=1e-12)
        logits = self.precise(output.logits) - self.curriculum * self.handicaps / lengths
        return F.cross_entropy(logits, labels, reduction="none")
