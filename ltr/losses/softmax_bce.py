"""Binary cross-entropy on softmax probabilities."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output


class SoftmaxBCE(Loss):
    """Binary cross-entropy of each class: -(log p_y + sum_{k != y} log(1 - p_k)) / C, p = softmax(z).

    In `ClassBalanced` with `weighted_mean` false, it is the class-balanced loss in the code of weight balancing,
    where the paper has cross-entropy. The mean over the classes makes gradients about C times smaller.

    Args:
        counts: (C,) training images per class; not used.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Alshammari et al., "Long-Tailed Recognition via Weight Balancing", CVPR 2022, https://arxiv.org/abs/2203.14197;
        official code ShadeAlsha/LTR-weight-balancing, utils/class_balanced_loss.py, `CB_loss` with the type softmax,
        after vandit15/Class-balanced-loss-pytorch.

    Example:
        >>> from ltr.contracts import Output
        >>> loss = SoftmaxBCE(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.1113...
    """

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        log_p = F.log_softmax(self.precise(output.logits), dim=1)
        top = log_p.argmax(1, keepdim=True)
        # For the most likely class, 1 - p would lose precision, so the other p are summed; for the others, p <= 1/2 and
        # 1 - p is accurate.
        rest = log_p.scatter(1, top, -torch.inf).logsumexp(1, keepdim=True)
        others = torch.log1p(-log_p.exp().scatter(1, top, 0.0)).scatter(1, top, rest)
        columns = labels[:, None]
        return -others.scatter(1, columns, log_p.gather(1, columns)).mean(1)
