"""Balanced softmax: the softmax with the class prior of the training set."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, log_prior
from ltr.ranges import NonNegative


class BalancedSoftmax(Loss):
    """Add the log-prior to the logits before the cross-entropy: -log softmax(z + tau log pi)_y.

    The prior is added in training only; at test time the plain logits are used. `tau` 1 is balanced softmax, any other
    value the logit-adjusted loss, and 0 cross-entropy.

    Args:
        counts: (C,) training images per class, N_c; pi_c = N_c / N.
        tau: strength of the prior.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020,
        https://arxiv.org/abs/2007.10740; official code jiawei-ren/BalancedMetaSoftmax-Classification. Menon et al.,
        "Long-tail learning via logit adjustment", ICLR 2021, https://arxiv.org/abs/2007.07314.

    Example:
        >>> import torch
        >>> from ltr.contracts import Output
        >>> loss = BalancedSoftmax(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.0139...
    """

    prior: Tensor

    def __init__(self, counts: CountsLike, *, tau: NonNegative = 1.0) -> None:
        super().__init__(counts)
        self.register_buffer("prior", tau * log_prior(counts), persistent=False)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        return F.cross_entropy(self.precise(output.logits) + self.prior, labels, reduction="none")
