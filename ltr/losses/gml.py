"""The geometric-mean loss: a single class near zero lowers the whole mean."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr import distributed
from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, log_prior, per_class
from ltr.ranges import AtLeastOne, InnerFraction


class GML(Loss):
    r"""Maximise the geometric mean over classes of the mean true-class probability in the batch.

    With the re-weighted softmax p_ic = N_c exp(z_ic) / sum_k N_k exp(z_ik) and pbar_c its mean over the samples of
    class c, the loss is -(1 / |present|) sum over the present classes of log pbar_c. It is computed in the log domain,
    so no probability needs a clamp and no gradient is lost. With an order q above 1, the mean over the classes is the
    power mean of that order, which gives the worst classes more weight.

    This is a batch-level loss: every sample gets the same value. In distributed training, value and gradient are those
    of the global batch. Gradient accumulation changes the objective, because each part counts as its own batch.

    Args:
        counts: (C,) training images per class, N_c.
        clamp: lower bound of p; the public implementation has 1e-5, which zeroes the gradient of harder samples. None
            for the exact loss.
        power: q; 1 in the public implementation. Whether the paper uses another value is not verified.

    Shape:
        output.logits (B, C), labels (B,) -> (B,), all equal.

    Reference:
        Du and Wu, "No One Left Behind: Improving the Worst Categories in Long-Tailed Learning", CVPR 2023,
        https://arxiv.org/abs/2303.03630. There is no official code; the public implementation is dgme-syz/NOLB,
        loss.py.

    Example:
        >>> from ltr.contracts import Output
        >>> loss = GML(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        0.0139...
    """

    batch_level = True
    mixable = False
    prior: Tensor

    def __init__(self, counts: CountsLike, *, clamp: InnerFraction | None = None, power: AtLeastOne = 1.0) -> None:
        super().__init__(counts)
        self.power = power
        self.register_buffer("prior", log_prior(counts), persistent=False)
        self.floor = None if clamp is None else float(torch.tensor(clamp).log())

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return the value of the batch, expanded to (B,)."""
        classes = len(self.prior)
        log_p = -F.cross_entropy(self.precise(output.logits) + self.prior, labels, reduction="none")
        if self.floor is not None:
            log_p = log_p.clamp(min=self.floor)
        # logsumexp per class; the maximum is for numerical stability only and needs no gradient.
        top = log_p.new_full((classes,), -torch.inf).scatter_reduce(0, labels, log_p.detach(), "amax")
        top = distributed.maximum(top).nan_to_num(neginf=0.0)
        sums = log_p.new_zeros(classes).index_add(0, labels, (log_p - top[labels]).exp())
        sums = distributed.differentiable_total(sums)
        present = distributed.total(per_class(labels, classes))
        # An absent class contributes log 1 - log 1 = 0, so that no shape depends on the labels.
        occurs = present > 0
        log_mean = sums.where(occurs, 1.0).log() + top - present.clamp(min=1).log()
        value: Tensor = torch.linalg.vector_norm(log_mean, self.power) / occurs.sum().to(top).pow(1 / self.power)
        return value.expand(len(labels))
