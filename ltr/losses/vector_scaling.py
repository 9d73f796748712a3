"""The vector-scaling loss: scale and shift logits by class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, log_prior, populated
from ltr.ranges import NonNegative


class VectorScaling(Loss):
    """Shrink the logits of rare classes and add the log-prior: -log softmax(d z + tau log pi)_y.

    The factors are d_c = (N_c / N_max)^gamma. With gamma 0 it is `BalancedSoftmax`, with tau 0 `CDT`, with both 0
    cross-entropy. At test time the plain logits are used.

    Args:
        counts: (C,) training images per class, N_c; pi_c = N_c / N.
        gamma: strength of the scaling.
        tau: strength of the shift.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Kini et al., "Label-Imbalanced and Group-Sensitive Classification under Overparameterization", NeurIPS 2021,
        https://arxiv.org/abs/2103.01550; official code orparask/VS-Loss, class_imbalance/losses.py, whose gamma is 0.3
        by default. wang22ti/DDC trains with 0.05.

    Example:
        >>> from ltr.contracts import Output
        >>> loss = VectorScaling(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.0140...
    """

    scales: Tensor
    shifts: Tensor

    def __init__(self, counts: CountsLike, *, gamma: NonNegative = 0.05, tau: NonNegative = 1.0) -> None:
        super().__init__(counts)
        numbers = populated(counts)
        scales = (numbers / numbers.max()).pow(gamma).to(torch.get_default_dtype())
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("shifts", tau * log_prior(counts), persistent=False)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        logits = self.precise(output.logits) * self.scales + self.shifts
        return F.cross_entropy(logits, labels, reduction="none")
