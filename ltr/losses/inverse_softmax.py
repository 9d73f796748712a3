"""The softmax of an expert for a reversed class distribution."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, shares
from ltr.ranges import NonNegative


class InverseSoftmax(Loss):
    """Train for a test set with the reversed class distribution: -log softmax(z + log pi - tau log q)_y.

    q is the inverse prior: the shares of the classes in reverse order, so the rarest class gets the share of the most
    frequent. Classes with equal counts get the mean of their shares in q; the official code assigns these in arbitrary
    order. At test time the plain logits are used.

    Args:
        counts: (C,) training images per class, N_c; pi_c = N_c / N.
        tau: strength of the inverse prior (lambda in the paper); 0 is balanced softmax.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Zhang et al., "Self-Supervised Aggregation of Diverse Experts for Test-Agnostic Long-Tailed Recognition",
        NeurIPS 2022, https://arxiv.org/abs/2107.09249; official code Vanint/SADE-AgnosticLT, model/loss.py,
        `DiverseExpertLoss`.

    Example:
        >>> from ltr.contracts import Output
        >>> loss = InverseSoftmax(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.000135...
    """

    offsets: Tensor

    def __init__(self, counts: CountsLike, *, tau: NonNegative = 2.0) -> None:
        super().__init__(counts)
        prior = shares(counts)
        offsets = prior.log() - tau * inverse(prior).log()
        self.register_buffer("offsets", offsets.to(torch.get_default_dtype()), persistent=False)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        return F.cross_entropy(self.precise(output.logits) + self.offsets, labels, reduction="none")


def inverse(prior: Tensor) -> Tensor:
    """Return a prior (C,) in reverse order of size: the k-th smallest class gets the k-th largest share."""
    ordered, order = prior.sort()
    exchanged = torch.empty_like(prior)
    exchanged[order] = ordered.flip(0)
    _, group = torch.unique(prior, return_inverse=True)  # ties share their mean
    sums = prior.new_zeros(len(prior)).index_add(0, group, exchanged)
    sizes = torch.bincount(group, minlength=len(prior))
    return (sums / sizes)[group]
