"""Label smoothing."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike
from ltr.ranges import Fraction


class LabelSmoothing(Loss):
    """Cross-entropy with the smoothed label (1 - epsilon) e_y + epsilon / C.

    Args:
        counts: (C,) training images per class; not used.
        epsilon: probability that is spread evenly over all classes; 0 is cross-entropy.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
        https://arxiv.org/abs/1512.00567. torch.nn.functional.cross_entropy.

    Example:
        >>> import torch
        >>> from ltr.contracts import Output
        >>> loss = LabelSmoothing(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.3365...
    """

    def __init__(self, counts: CountsLike, *, epsilon: Fraction = 0.1) -> None:
        super().__init__(counts)
        self.epsilon = epsilon

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        return F.cross_entropy(self.precise(output.logits), labels, reduction="none", label_smoothing=self.epsilon)
