"""Cross-entropy, the baseline."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output


class CrossEntropy(Loss):
    """Take the negative log-probability of the true class: -log softmax(z)_y.

    Args:
        counts: (C,) training images per class; not used.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        The textbook loss and the baseline of every long-tailed paper, e.g. Cao et al., NeurIPS 2019,
        https://arxiv.org/abs/1906.07413. torch.nn.functional.cross_entropy.

    Example:
        >>> import torch
        >>> from ltr.contracts import Output
        >>> loss = CrossEntropy(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.1698...
    """

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        return F.cross_entropy(self.precise(output.logits), labels, reduction="none")
