"""Focal loss on sigmoids, one class against the rest."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike
from ltr.ranges import NonNegative


class SigmoidFocal(Loss):
    """Focus on hard pairs of sample and class: -sum_k (1 - q_k)^gamma log q_k.

    q_k is sigmoid(z_k) for the true class and 1 - sigmoid(z_k) for the others. The sum is over the classes, without the
    factor alpha. With gamma 0 it is the binary cross-entropy (BCE). Sigmoids rank the classes as the softmax does.

    Args:
        counts: (C,) training images per class; not used.
        gamma: how strongly easy pairs are down-weighted.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, https://arxiv.org/abs/1708.02002;
        zhangyongshun/BagofTricks-LT, lib/loss/loss_impl/focal_loss.py.

    Example:
        >>> import torch
        >>> from ltr.contracts import Output
        >>> loss = SigmoidFocal(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.1977...
    """

    def __init__(self, counts: CountsLike, *, gamma: NonNegative = 2.0) -> None:
        super().__init__(counts)
        self.gamma = gamma

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        logits = self.precise(output.logits)
        sides = logits.scatter(1, labels[:, None], -logits.gather(1, labels[:, None]))  # log(1 - q) = logsigmoid(side)
        return -((self.gamma * F.logsigmoid(sides)).exp() * F.logsigmoid(-sides)).sum(1)
