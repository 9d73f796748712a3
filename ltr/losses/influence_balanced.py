"""The influence-balanced loss: down-weight samples with a large influence on the decision boundary."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, inverse_frequency
from ltr.ranges import Positive


class InfluenceBalanced(Loss):
    """Divide the weighted cross-entropy by the influence of the sample: w_y alpha / (|p - e_y|_1 |h|_1 + epsilon) CE.

    w_c = 1 / N_c, scaled to sum C; h is the feature. The paper uses it for the second half of training, after
    cross-entropy: `Deferred` with `before: CrossEntropy`, `after: InfluenceBalanced`, `start: 0.5`.

    Args:
        counts: (C,) training images per class, N_c.
        alpha: scale of the factor.
        epsilon: keeps the denominator from 0.
        detach: treat the factor as a constant; in the public code, gradients flow through it.

    Shape:
        output.logits (B, C), output.features (B, D), labels (B,) -> (B,).

    Reference:
        Park et al., "Influence-Balanced Loss for Imbalanced Visual Classification", ICCV 2021,
        https://arxiv.org/abs/2110.02444; zhangyongshun/BagofTricks-LT, lib/loss/loss_impl/influence_balanced_loss.py.

    Example:
        >>> from ltr.contracts import Output
        >>> loss = InfluenceBalanced(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.full((1, 9), 1.0)), torch.tensor([0])).item()
        1.6...
    """

    needs = ("features",)
    weights: Tensor

    def __init__(
        self, counts: CountsLike, *, alpha: Positive = 1000.0, epsilon: Positive = 1e-3, detach: bool = False
    ) -> None:
        super().__init__(counts)
        self.alpha, self.epsilon, self.detach = alpha, epsilon, detach
        weights = inverse_frequency(counts)
        self.register_buffer("weights", weights * (len(weights) / weights.sum()), persistent=False)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        values = F.cross_entropy(self.precise(output.logits), labels, reduction="none")
        errors = -2 * torch.expm1(-values)  # |p - e_y|_1 = 2 (1 - p_y)
        factor = self.alpha / (errors * self.precise(output.features).abs().sum(1) + self.epsilon)
        return self.weights[labels] * values * (factor.detach() if self.detach else factor)
