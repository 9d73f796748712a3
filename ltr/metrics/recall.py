"""The state behind the nine numbers of a report."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from ltr.metrics.units import bin_of, in_units


class Recall(Metric):
    """Count, over a whole split, what the recalls and the nine numbers of a `Report` are made of.

    Confidences are kept as integers, in units of 2^-40. Any float32 confidence above 2^-17 is then exact and so is
    every sum: neither the order of the batches, the number of processes nor a conversion of the model to bfloat16 can
    change a result, and no float64 is needed on the device. A bin has room for 2^23 images.

    Args:
        classes: number of classes C.
        bins: number of equal-width bins of confidence; bin k holds (k / bins, (k + 1) / bins], and the first also 0.

    Attributes:
        hits: (C,) images of each class that were recognised.
        totals: (C,) images of each class.
        bin_hits: (bins,) images recognised with a confidence in each bin.
        bin_totals: (bins,) images with a confidence in each bin.
        bin_confidences: (bins,) sums of their confidences, in units of 2^-40.

    Shape:
        probabilities (B, C) of any floating type, labels (B,) -> (C,) float64.

    Example:
        >>> recall = Recall(3)
        >>> recall.update(torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0]]), torch.tensor([0, 1]))
        >>> recall.compute()
        tensor([1., 0., nan], dtype=torch.float64)
    """

    is_differentiable: bool = False
    higher_is_better: bool = True
    full_state_update: bool = False
    hits: Tensor
    totals: Tensor
    bin_hits: Tensor
    bin_totals: Tensor
    bin_confidences: Tensor

    def __init__(self, classes: int, bins: int = 15) -> None:
        super().__init__()
        self.classes, self.bins = classes, bins
        self.count(hits=(classes,), totals=(classes,), bin_hits=(bins,), bin_totals=(bins,), bin_confidences=(bins,))

    def count(self, **shapes: tuple[int, ...]) -> None:
        """Begin to count under the given names, in integers of the given shapes."""
        for name, shape in shapes.items():
            self.add_state(name, torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Add a batch: probabilities (B, C) and labels (B,). A probability that is not a number is never a hit."""
        confidences, predictions = probabilities.detach().max(dim=1)
        hits = ((predictions == labels) & ~confidences.isnan()).long()
        units = in_units(confidences)
        bins = bin_of(units, self.bins)
        # index_add, since bincount waits for the device to learn how long its result is.
        one = torch.ones_like(hits)
        self.hits = self.hits.index_add(0, labels, hits)
        self.totals = self.totals.index_add(0, labels, one)
        self.bin_hits = self.bin_hits.index_add(0, bins, hits)
        self.bin_totals = self.bin_totals.index_add(0, bins, one)
        self.bin_confidences = self.bin_confidences.index_add(0, bins, units)

    def compute(self) -> Tensor:
        """Return (C,) the recall of each class on the CPU, NaN where the split has no image of the class."""
        return self.hits.cpu().double() / self.totals.cpu()

    def scores(self, counts: Sequence[int]) -> dict[str, float]:
        """Return the measures that need more than the recalls by their names: none of this state.

        Args:
            counts: (C,) *training* images per class.
        """
        return {}
