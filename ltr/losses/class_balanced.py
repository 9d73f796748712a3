"""Class-balanced re-weighting by the effective number of samples."""

from __future__ import annotations

from ltr.contracts import LossFactory
from ltr.counts import CountsLike, inverse_effective_number
from ltr.losses.cross_entropy import CrossEntropy
from ltr.losses.weighted import Weighted
from ltr.ranges import BelowOne


class ClassBalanced(Weighted):
    """Weight any loss by the inverse effective number of samples: w_c = (1 - beta) / (1 - beta^N_c), scaled to sum C.

    Around `CrossEntropy` it is CB-CE; around `SigmoidFocal`, with `weighted_mean` off, CB-focal and, with gamma 0,
    CB-BCE; as the second loss of `Deferred` it is deferred re-weighting (DRW).

    Args:
        counts: (C,) training images per class, N_c.
        loss: builds the loss whose values are weighted.
        beta: 0 gives all weights 1; towards 1 the weights approach the inverse frequency.
        weighted_mean: divide by the mean weight of the batch, as the class weights of cross-entropy do. If false, take
            the plain mean over the batch, as the official code does for focal losses.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019,
        https://arxiv.org/abs/1901.05555; zhangyongshun/BagofTricks-LT, lib/loss/loss_impl/class_balanced_loss.py.

    Example:
        >>> import torch
        >>> loss = ClassBalanced(torch.tensor([100, 10, 1]), beta=0.9)
        >>> loss.weights
        tensor([0.2393, 0.3674, 2.3932])
    """

    def __init__(
        self,
        counts: CountsLike,
        *,
        loss: LossFactory = CrossEntropy,
        beta: BelowOne = 0.9999,
        weighted_mean: bool = True,
    ) -> None:
        super().__init__(counts, loss, inverse_effective_number(counts, beta), weighted_mean=weighted_mean)
