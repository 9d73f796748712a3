"""LADE: logits disentangled from the training prior."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from ltr import distributed
from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, log_prior, per_class
from ltr.ranges import NonNegative


class LADE(Loss):
    r"""Add to balanced softmax a regulariser that estimates the logits under a uniform prior.

    For class c, with n_c samples in a batch of B: A_c = the mean of z_ic over the samples of c (0 if there is none),
    B_c = log sum_i exp(z_ic - log pi_c - log C) - log B over all samples, and the loss is
    -log softmax(z + log pi)_y - alpha sum_c pi_c (A_c - B_c - lambda B_c^2).

    The second term is batch-level: in distributed training, value and gradient are those of the global batch. Each
    column is shifted by the prior of its class, as in the official code; whether the paper shifts each sample by the
    prior of its label instead is not verified. The constants 1e-9 and 1e-8 of the official code are left out, which
    changes the loss by less than 1e-7. At test time the plain logits are used, or z + log of another target prior.

    Args:
        counts: (C,) training images per class, N_c; pi_c = N_c / N.
        alpha: weight of the regulariser; 0 is `BalancedSoftmax`.
        remine: lambda, weight of the squared term, which keeps B_c near 0.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Hong et al., "Disentangling Label Distribution for Long-tailed Visual Recognition", CVPR 2021,
        https://arxiv.org/abs/2012.00321; official code hyperconnect/LADE, loss/LADELoss.py and loss/PriorCELoss.py.

    Example:
        >>> import torch
        >>> from ltr.contracts import Output
        >>> loss = LADE(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        -0.0...
    """

    batch_level = True
    mixable = False
    prior: Tensor

    def __init__(self, counts: CountsLike, *, alpha: NonNegative = 0.1, remine: NonNegative = 0.01) -> None:
        super().__init__(counts)
        self.alpha, self.remine = alpha, remine
        self.register_buffer("prior", log_prior(counts), persistent=False)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        logits = self.precise(output.logits)
        values = F.cross_entropy(logits + self.prior, labels, reduction="none")
        return values + self.alpha * self.regulariser(logits, labels)

    def regulariser(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return -sum_c pi_c (A_c - B_c - lambda B_c^2) of the batch over all processes."""
        classes = len(self.prior)
        true_logits = logits.gather(1, labels[:, None]).squeeze(1)
        sums = distributed.differentiable_total(logits.new_zeros(classes).index_add(0, labels, true_logits))
        present = distributed.total(per_class(labels, classes))
        joint = sums / present.clamp(min=1)
        marginal = distributed.logsumexp(logits - self.prior - math.log(classes)) - present.sum().log()
        return -(self.prior.exp() * (joint - marginal - self.remine * marginal.square())).sum()
