"""A weighted sum of losses."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ltr.contracts import LossFactory, Output
from ltr.counts import CountsLike
from ltr.errors import InputError
from ltr.losses.balanced_softmax import BalancedSoftmax
from ltr.losses.composite import Composite
from ltr.losses.cross_entropy import CrossEntropy


class Combined(Composite):
    """Add losses: sum_j a_j l_j.

    Args:
        counts: (C,) training images per class.
        losses: build the losses l_j.
        weights: a_j, one for each loss; all 1 by default.

    Shape:
        output (whatever the losses need), labels (B,) -> (B,).

    Reference:
        A sum has no paper. Many losses are sums, such as the prior cross-entropy and regulariser of Hong et
        al., "Disentangling Label Distribution for Long-tailed Visual Recognition", CVPR 2021,
        https://arxiv.org/abs/2012.00321.

    Example:
        >>> import torch
        >>> from ltr.contracts import Output
        >>> loss = Combined(torch.tensor([100, 10, 1]), weights=(0.5, 0.5))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.0918...
    """

    def __init__(
        self,
        counts: CountsLike,
        *,
        losses: Sequence[LossFactory] = (CrossEntropy, BalancedSoftmax),
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(counts, losses)
        self.weights = tuple(weights) if weights is not None else (1.0,) * len(losses)
        if not losses or len(self.weights) != len(losses):
            raise InputError(f"{len(self.weights)} weights for {len(losses)} losses: give one weight for each loss.")

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        values = [weight * loss(output, labels) for weight, loss in zip(self.weights, self.parts, strict=True)]
        total: Tensor = sum(values[1:], start=values[0])
        return total
