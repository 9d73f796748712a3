"""The state of an evaluation that judges whole distributions of probability."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ltr.metrics.calibration import classwise_calibration_error, shot_calibration
from ltr.metrics.f1 import macro_f1
from ltr.metrics.proper import LOG_UNIT, brier, log_loss
from ltr.metrics.recall import Recall
from ltr.metrics.units import UNIT, bin_of, in_units


class Scores(Recall):
    """Count what `Recall` does, and what the measures beyond the nine are made of.

    These sums are integers too, and as exact. They need every probability of an image, not only the largest, so the
    running measures of a training do without them.

    Args:
        classes: number of classes C.
        bins: number of equal-width bins of probability.

    Attributes:
        predicted: (C,) images predicted as each class.
        own_hits: (C, bins) images of each class that were recognised, by the bin of the confidence.
        own_confidences: (C, bins) sums of the confidences of the images of each class, in units of 2^-40.
        class_hits: (C, bins) images of each class, by the bin of their probability for it.
        class_probabilities: (C, bins) sums over all images of the probability for each class, in units of 2^-40.
        log_losses: () sum of the negative log-likelihoods, in units of 2^-32.
        briers: () sum of the Brier scores, in units of 2^-40.

    Example:
        >>> scores = Scores(2)
        >>> scores.update(torch.tensor([[0.5, 0.5], [0.0, 1.0]]), torch.tensor([0, 1]))
        >>> measures = scores.scores([30, 5])
        >>> measures["nll"], measures["brier"], measures["ece_few"]
        (0.3465..., 0.25, 0.0)
    """

    predicted: Tensor
    own_hits: Tensor
    own_confidences: Tensor
    class_hits: Tensor
    class_probabilities: Tensor
    log_losses: Tensor
    briers: Tensor

    def __init__(self, classes: int, bins: int = 15) -> None:
        super().__init__(classes, bins)
        table = (classes, bins)
        self.count(predicted=(classes,), own_hits=table, own_confidences=table)
        self.count(class_hits=table, class_probabilities=table, log_losses=(), briers=())

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Add a batch: probabilities (B, C) and labels (B,). One that is not a number counts as 0 and as no answer."""
        super().update(probabilities, labels)
        probabilities = probabilities.detach()
        confidences, predictions = probabilities.max(dim=1)
        answered = (~confidences.isnan()).long()
        self.predicted = self.predicted.index_add(0, predictions, answered)
        self.log_losses = self.log_losses + log_loss(probabilities, labels).sum()
        self.briers = self.briers + brier(probabilities, labels).sum()

        confidences = in_units(confidences)
        own = labels * self.bins + bin_of(confidences, self.bins)
        self.own_hits = self._added(self.own_hits, own, answered * (predictions == labels))
        self.own_confidences = self._added(self.own_confidences, own, confidences)

        units = in_units(probabilities)
        cells = bin_of(units, self.bins) + self.bins * torch.arange(self.classes, device=units.device)
        of_labels = cells.gather(1, labels[:, None]).squeeze(1)
        self.class_hits = self._added(self.class_hits, of_labels, torch.ones_like(labels))
        self.class_probabilities = self._added(self.class_probabilities, cells.flatten(), units.flatten())

    @staticmethod
    def _added(table: Tensor, cells: Tensor, values: Tensor) -> Tensor:
        """Return a table (C, bins) with values (N,) added at cells (N,), counted row by row."""
        return table.flatten().index_add(0, cells, values).view_as(table)

    def scores(self, counts: Sequence[int]) -> dict[str, float]:
        """Return the measures beyond the nine by their names.

        Args:
            counts: (C,) *training* images per class.
        """
        totals = self.totals.cpu()
        images = int(totals.sum())
        each = images or float("nan")
        return {
            "macro_f1": macro_f1(self.hits.cpu(), totals, self.predicted.cpu()),
            "nll": int(self.log_losses) / LOG_UNIT / each,
            "brier": int(self.briers) / UNIT / each,
            "classwise_ece": classwise_calibration_error(
                self.class_hits.cpu(), self.class_probabilities.cpu().double() / UNIT, images=images
            ),
            **shot_calibration(self.own_hits.cpu(), self.own_confidences.cpu().double() / UNIT, totals, counts=counts),
        }
