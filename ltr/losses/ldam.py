"""LDAM: larger margins for rare classes."""

from __future__ import annotations

from typing import cast

from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, inverse_frequency
from ltr.ranges import NonNegative, Positive


class LDAM(Loss):
    """Lower the cosine of the true class by a margin: -log softmax(s (cos - m_y e_y))_y, m_c = m (N_min / N_c)^(1/4).

    The logits are those of a `Cosine` head, and the scale s is read from the output, so head and loss agree. For a
    linear classifier, pass a scale; it replaces that of the output. At test time the plain logits are used. LDAM-DRW is
    `Deferred` from `LDAM` to `ClassBalanced` around `LDAM`.

    Args:
        counts: (C,) training images per class, N_c.
        margin: m, the margin of the smallest class, in units of the cosine (max_m in the official code).
        scale: s for logits that are not scaled cosines; None takes that of the head.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019,
        https://arxiv.org/abs/1906.07413; official code kaidic/LDAM-DRW, losses.py.

    Example:
        >>> import torch
        >>> from ltr.contracts import Output
        >>> loss = LDAM(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[15.0, 0.0, 12.0]]), torch.zeros(1, 1), scale=30.0), torch.tensor([0])).item()
        1.9...
    """

    margins: Tensor

    def __init__(self, counts: CountsLike, *, margin: NonNegative = 0.5, scale: Positive | None = None) -> None:
        super().__init__(counts)
        self.scale = scale
        self.needs = () if scale else ("scale",)
        self.register_buffer("margins", margin * inverse_frequency(counts, 0.25), persistent=False)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        logits = self.precise(output.logits)
        margins = (self.scale or cast("float", output.scale)) * self.margins[labels].to(logits.dtype)
        return F.cross_entropy(logits.scatter_add(1, labels[:, None], -margins[:, None]), labels, reduction="none")
