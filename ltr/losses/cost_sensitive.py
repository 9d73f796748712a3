"""Cost-sensitive re-weighting by a power of the inverse frequency."""

from __future__ import annotations

from ltr.contracts import LossFactory
from ltr.counts import CountsLike, inverse_frequency
from ltr.losses.cross_entropy import CrossEntropy
from ltr.losses.weighted import Weighted
from ltr.ranges import NonNegative


class CostSensitive(Weighted):
    """Weight any loss by the inverse frequency: w_c = (N_min / N_c)^power.

    Args:
        counts: (C,) training images per class, N_c.
        loss: builds the loss whose values are weighted.
        power: 1 is cost-sensitive, 0.5 the smooth (square-root) form, 0 gives all weights 1.
        weighted_mean: divide by the mean weight of the batch, as the class weights of cross-entropy do. If false, take
            the plain mean over the batch, as the official code does for focal losses.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        The standard weighting, as in Zhang et al., "Bag of Tricks for Long-Tailed Visual Recognition with Deep
        Convolutional Neural Networks", AAAI 2021, https://github.com/zhangyongshun/BagofTricks-LT,
        lib/loss/loss_impl/cost_sensitive_cross_entropy_loss.py.

    Example:
        >>> import torch
        >>> CostSensitive(torch.tensor([100, 25, 1]), power=0.5).weights
        tensor([0.1000, 0.2000, 1.0000])
    """

    def __init__(
        self,
        counts: CountsLike,
        *,
        loss: LossFactory = CrossEntropy,
        power: NonNegative = 1.0,
        weighted_mean: bool = True,
    ) -> None:
        super().__init__(counts, loss, inverse_frequency(counts, power), weighted_mean=weighted_mean)
