"""The state behind the main measures, and probabilities as integers, whose sums are exact."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from ltr.metrics.calibration import expected_calibration_error

UNIT = 2**40


def in_units(probabilities: Tensor) -> Tensor:
    """Return probabilities of any floating type and shape as int64 in units of 2^-40, rounded down; 0 for NaN.

    Any float32 above 2^-17 is exact. A sum has room for 2^23 probabilities.
    """
    # float16 and bfloat16 are too narrow for the product, which is exact in float32: the unit is a power of two.
    wide = probabilities.to(torch.promote_types(probabilities.dtype, torch.float32)).nan_to_num()
    return (wide * UNIT).floor().long()


def bin_of(units: Tensor, bins: int) -> Tensor:
    """Return the bin of each probability in units: bin k holds (k / bins, (k + 1) / bins], and the first also 0.

    A float64 k / bins can exceed the fraction by rounding; rounding down to a unit keeps it in the bin it closes.
    """
    return ((units * bins - 1) // UNIT).clamp(0, bins - 1)


class Recall(Metric):
    """Count what the main measures of a `Report` need, over a whole split.

    Confidences are kept as integers in units of 2^-40. Any float32 confidence above 2^-17 is exact, and so is every
    sum: results do not depend on the order of the batches, the number of processes or a conversion of the model to
    bfloat16, and the device needs no float64. A bin has room for 2^23 images.

    Args:
        classes: number of classes C.
        bins: number of equal-width bins of confidence; bin k holds (k / bins, (k + 1) / bins], and the first also 0.

    Attributes:
        hits: (C,) recognised images of each class.
        totals: (C,) images of each class.
        bin_hits: (bins,) recognised images by confidence.
        bin_totals: (bins,) images by confidence.
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
        """Add states of integers of the given shapes, summed over processes."""
        for name, shape in shapes.items():
            self.add_state(name, torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Add a batch: probabilities (B, C) and labels (B,). A NaN probability is never a hit."""
        confidences, predictions = probabilities.detach().max(dim=1)
        hits = ((predictions == labels) & ~confidences.isnan()).long()
        units = in_units(confidences)
        bins = bin_of(units, self.bins)
        # Not bincount, which waits for the device to learn the size of its result.
        one = torch.ones_like(hits)
        self.hits = self.hits.index_add(0, labels, hits)
        self.totals = self.totals.index_add(0, labels, one)
        self.bin_hits = self.bin_hits.index_add(0, bins, hits)
        self.bin_totals = self.bin_totals.index_add(0, bins, one)
        self.bin_confidences = self.bin_confidences.index_add(0, bins, units)

    def compute(self) -> Tensor:
        """Return (C,) the recall of each class on the CPU, NaN if the split has no image of the class."""
        return self.hits.cpu().double() / self.totals.cpu()

    def scores(self, counts: Sequence[int]) -> dict[str, float]:
        """Return the measures that need more than the recalls, by their keys.

        Args:
            counts: (C,) *training* images per class.
        """
        hits, images = int(self.hits.sum()), int(self.totals.sum())
        confidences = self.bin_confidences.cpu().double() / UNIT
        return {
            "top1": hits / images if images else float("nan"),
            "ece": expected_calibration_error(self.bin_hits.cpu(), confidences, images=images),
        }
