"""The state of an evaluation, which measures whole distributions and not only the largest probability."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ltr.metrics.calibration import classwise_calibration_error, shot_calibration
from ltr.metrics.proper import LOG_UNIT, brier, log_loss
from ltr.metrics.recall import UNIT, Recall, bin_of, in_units

SPLITS = ("train", "val", "test")


def macro_f1(hits: Tensor, totals: Tensor, predicted: Tensor) -> float:
    """Return the mean F1 of the classes that occur or are predicted, NaN without any.

    F1_c = 2 hits_c / (totals_c + predicted_c) is the harmonic mean of recall and precision; as in scikit-learn it is 0
    for a class that is predicted but does not occur.

    Args:
        hits: (C,) recognised images of each class.
        totals: (C,) images of each class.
        predicted: (C,) images predicted as each class.
    """
    either = totals + predicted
    return float((2 * hits.double() / either)[either > 0].mean())


class Scores(Recall):
    """Count what `Recall` does, and what the other measures need.

    These sums are exact integers too. They need every probability of an image, not only the largest, so the running
    measures of training leave them out.

    Args:
        classes: number of classes C.
        bins: number of equal-width bins of probability.

    Attributes:
        predicted: (C,) images predicted as each class.
        own_hits: (C, bins) recognised images of each class, by confidence.
        own_confidences: (C, bins) sums of the confidences of the images of each class, in units of 2^-40.
        class_hits: (C, bins) images of each class, by their probability for it.
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
        """Add a batch: probabilities (B, C) and labels (B,). A NaN counts as probability 0 and as no prediction."""
        super().update(probabilities, labels)
        probabilities = probabilities.detach()
        confidences, predictions = probabilities.max(dim=1)
        answered = (~confidences.isnan()).long()
        self.predicted = self.predicted.index_add(0, predictions, answered)
        self.log_losses = self.log_losses + log_loss(probabilities, labels).sum()
        self.briers = self.briers + brier(probabilities, labels).sum()

        confidences = in_units(confidences)
        cells = labels * self.bins + bin_of(confidences, self.bins)
        self.own_hits = self._added(self.own_hits, cells, answered * (predictions == labels))
        self.own_confidences = self._added(self.own_confidences, cells, confidences)

        units = in_units(probabilities)
        cells = bin_of(units, self.bins) + self.bins * torch.arange(self.classes, device=units.device)
        of_labels = cells.gather(1, labels[:, None]).squeeze(1)
        self.class_hits = self._added(self.class_hits, of_labels, torch.ones_like(labels))
        self.class_probabilities = self._added(self.class_probabilities, cells.flatten(), units.flatten())

    @staticmethod
    def _added(table: Tensor, cells: Tensor, values: Tensor) -> Tensor:
        """Return a table (C, bins) with values (N,) added at cells (N,), which are indices of the flattened table."""
        return table.flatten().index_add(0, cells, values).view_as(table)

    def scores(self, counts: Sequence[int]) -> dict[str, float]:
        """Return the measures of `Recall.scores` and of whole distributions, by their keys."""
        totals = self.totals.cpu()
        images = int(totals.sum())
        each = images or float("nan")
        return super().scores(counts) | {
            "macro_f1": macro_f1(self.hits.cpu(), totals, self.predicted.cpu()),
            "nll": int(self.log_losses) / LOG_UNIT / each,
            "brier": int(self.briers) / UNIT / each,
            "classwise_ece": classwise_calibration_error(
                self.class_hits.cpu(), self.class_probabilities.cpu().double() / UNIT, images=images
            ),
            **shot_calibration(self.own_hits.cpu(), self.own_confidences.cpu().double() / UNIT, totals, counts=counts),
        }


class Recalls(nn.Module):
    """The state of each split: `Scores`, and `Recall` for the training batches, which are counted as they are seen."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        # A ModuleDict cannot have the key `train`, which is a method of modules.
        self.of = nn.ModuleList(Recall(classes) if split == "train" else Scores(classes) for split in SPLITS)

    def __getitem__(self, split: str) -> Recall:
        recall = self.of[SPLITS.index(split)]
        assert isinstance(recall, Recall)
        return recall
