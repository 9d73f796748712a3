"""The softmax equalization loss: rare classes get fewer negative gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, shares
from ltr.ranges import Fraction


class SoftmaxEqualization(Loss):
    """Randomly leave rare classes out of the softmax for samples of other classes: -log(e^z_y / sum_k u_k e^z_k).

    u_k = 0 with probability gamma, drawn per sample and class, if k is rare and not the true class; else u_k = 1. It is
    computed in the log domain. The public code exponentiates the raw logits, so its float32 gradient is wrong for
    logits above about 44. At test time the plain logits are used.

    Args:
        counts: (C,) training images per class, N_c.
        gamma: probability that a rare class is left out.
        threshold: classes with N_c / N below it are rare: 0.005 for CIFAR-100-LT with IF 100, 0.006 with IF 50, 0.05
            for CIFAR-10-LT.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Tan et al., "Equalization Loss for Long-Tailed Object Recognition", CVPR 2020,
        https://arxiv.org/abs/2003.05176; zhangyongshun/BagofTricks-LT, lib/loss/loss_impl/equalization_loss.py.

    Example:
        >>> from ltr.contracts import Output
        >>> loss = SoftmaxEqualization(torch.tensor([100, 10, 1]), gamma=1, threshold=0.05)
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.1269...
    """

    rare: Tensor

    def __init__(self, counts: CountsLike, *, gamma: Fraction = 0.9, threshold: Fraction = 0.005) -> None:
        super().__init__(counts)
        self.gamma = gamma
        self.register_buffer("rare", shares(counts) < threshold, persistent=False)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        logits = self.precise(output.logits)
        ignored = (self.draw(logits) & self.rare).scatter(1, labels[:, None], False)
        return F.cross_entropy(logits.masked_fill(ignored, -torch.inf), labels, reduction="none")

    def draw(self, logits: Tensor) -> Tensor:
        """Draw (B, C) from the global generator: whether to leave a class out if it is rare."""
        return torch.rand_like(logits) < self.gamma
