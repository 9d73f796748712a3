"""CosFace: a cosine margin."""

from __future__ import annotations

from typing import cast

from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike
from ltr.ranges import NonNegative


class CosFace(Loss):
    """Subtract a margin from the cosine of the true class: the cross-entropy of s (cos theta_y - m) and s cos theta_c.

    The logits must be those of a `Cosine` head, whose scale is s. The margin applies in training only. The loss is also
    known as additive-margin softmax.

    Args:
        counts: (C,) training images per class; not used.
        margin: m.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018,
        https://arxiv.org/abs/1801.09414; Wang et al., "Additive Margin Softmax for Face Verification", 2018,
        https://arxiv.org/abs/1801.05599. Compared with ronghuaiyang/arcface-pytorch, models/metrics.py.

    Example:
        >>> import torch
        >>> loss = CosFace(torch.tensor([100, 10, 1]), margin=0.1)
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1), scale=10.0), torch.tensor([0])).item()
        0.4076...
    """

    needs = ("scale",)

    def __init__(self, counts: CountsLike, *, margin: NonNegative = 0.35) -> None:
        super().__init__(counts)
        self.margin = margin

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        logits = self.precise(output.logits)
        offsets = cast("float", output.scale) * self.margin * F.one_hot(labels, logits.shape[1])
        return F.cross_entropy(logits - offsets, labels, reduction="none")
