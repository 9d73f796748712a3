"""The base class of losses that are weighted by class."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from ltr import distributed
from ltr.contracts import LossFactory, Output
from ltr.counts import CountsLike
from ltr.errors import InputError
from ltr.losses.composite import Composite


class Weighted(Composite):
    """Multiply the value of each sample by the weight of its class: w_y l, or w_y l / mean(w_y) over the batch.

    The second form is the weighted mean of torch's cross-entropy, which does not depend on the scale of the weights; in
    distributed training the mean weight is that of the global batch. In the first form the scale matters.

    Args:
        counts: (C,) training images per class.
        loss: builds the loss whose values are weighted.
        weights: (C,) weights w.
        weighted_mean: divide values by the mean weight of the batch.
    """

    weights: Tensor

    @abstractmethod
    def __init__(self, counts: CountsLike, loss: LossFactory, weights: Tensor, *, weighted_mean: bool) -> None:
        super().__init__(counts, [loss])
        if self.batch_level:
            raise InputError(
                "a batch-level loss cannot be weighted by class: use a loss with one value per sample, or give classes "
                "priority after training with the callback `ClassWeights`."
            )
        self.batch_level = self.weighted_mean = weighted_mean
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        (loss,) = self.parts
        weights = self.weights[labels]
        values = weights * loss(output, labels)
        return values / distributed.mean(weights) if self.weighted_mean else values
