"""The numbers of one evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ltr import files
from ltr.errors import InputError
from ltr.metrics.calibration import expected_calibration_error
from ltr.metrics.means import (
    FLOOR,
    geometric_mean,
    harmonic_mean,
    lowest,
    mean_recall,
    worst_classes,
    worst_recall,
    zero_recall,
)
from ltr.metrics.recall import Recall
from ltr.metrics.shots import shot_recall
from ltr.metrics.spread import recall_std
from ltr.metrics.units import UNIT

NINE = ("top1", "gm", "hm", "lowest", "zero_recall", "many", "medium", "few", "ece")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a model is worth on a split, in fractions; NaN where there is nothing to measure.

    Attributes:
        top1: recognised images / images; equal to the mean recall only on a balanced split.
        gm: geometric mean of the recalls, floored at 1e-3.
        hm: harmonic mean of the recalls, floored at 1e-3.
        lowest: lowest recall, without a floor.
        zero_recall: number of classes of which no image was recognised.
        many: mean recall of the classes with more than 100 training images.
        medium: mean recall of the classes with 20 to 100 training images.
        few: mean recall of the classes with fewer than 20 training images.
        ece: expected calibration error.
        mean_recall: mean of the recalls, also known as balanced accuracy.
        worst: mean of the recalls of the worst tenth of the classes, at least one.
        worst_classes: how many these are.
        recall_std: standard deviation of the recalls.
        macro_f1: mean F1 of the classes; like those that follow, NaN for the running measures of a training.
        nll: mean negative log-likelihood.
        brier: mean Brier score, a sum over the classes.
        classwise_ece: class-wise expected calibration error.
        ece_many: expected calibration error of the images of classes with more than 100 training images.
        ece_medium: of those with 20 to 100.
        ece_few: of those with fewer than 20.
        recall: recall of each class, NaN for a class absent from the split.
        counts: training images of each class.
        extras: what the method has measured beyond, in its own units.
    """

    top1: float
    gm: float
    hm: float
    lowest: float
    zero_recall: int
    many: float
    medium: float
    few: float
    ece: float
    mean_recall: float
    worst: float
    worst_classes: int
    recall_std: float
    macro_f1: float = math.nan
    nll: float = math.nan
    brier: float = math.nan
    classwise_ece: float = math.nan
    ece_many: float = math.nan
    ece_medium: float = math.nan
    ece_few: float = math.nan
    recall: list[float]
    counts: list[int]
    extras: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, recall: Recall, counts: Sequence[int], *, extras: Mapping[str, float] | None = None) -> Report:
        """Build the report of all processes; every one of them has to call this.

        Args:
            recall: the state of the split.
            counts: (C,) *training* images per class.
            extras: what the method has measured beyond.

        Raises:
            InputError: where the counts are those of another number of classes.
        """
        if len(counts) != recall.classes:
            raise InputError(f"the recalls are of {recall.classes} classes, but there are {len(counts)} counts.")
        per_class = recall.compute()
        with recall.sync_context():
            hits, images = int(recall.hits.sum()), int(recall.totals.sum())
            bin_hits, bin_confidences = recall.bin_hits.cpu(), recall.bin_confidences.cpu()
            scores = recall.scores(counts)
        return cls(
            top1=hits / images if images else math.nan,
            gm=geometric_mean(per_class),
            hm=harmonic_mean(per_class),
            lowest=lowest(per_class),
            zero_recall=zero_recall(per_class),
            **shot_recall(per_class, counts),
            ece=expected_calibration_error(bin_hits, bin_confidences.double() / UNIT, images=images),
            mean_recall=mean_recall(per_class),
            worst=worst_recall(per_class),
            worst_classes=worst_classes(per_class),
            recall_std=recall_std(per_class),
            **scores,
            recall=per_class.tolist(),
            counts=[int(count) for count in counts],
            extras=dict(extras or {}),
        )

    def scalars(self) -> dict[str, float]:
        """Return the nine numbers and the extras: what is said during a training and at the end of a test."""
        return {name: float(getattr(self, name)) for name in NINE} | dict(self.extras)

    def _flat(self) -> dict[str, Any]:
        """Return every measure by its name."""
        fields = asdict(self)
        extras: dict[str, float] = fields.pop("extras")
        return fields | extras

    def to_json(self) -> dict[str, object]:
        """Return what JSON can hold: None for NaN, and the floor of the means as `floor`."""
        return {name: files.plain(value) for name, value in self._flat().items()} | {"floor": FLOOR}

    def summary(self) -> str:
        """Return one line for a person, in percent; "-" where there is nothing to measure."""

        def percent(value: float) -> str:
            return "-" if math.isnan(value) else f"{100 * value:.1f}"

        extras = "".join(f" | {name.replace('_', ' ')} {value:.3g}" for name, value in self.extras.items())
        return (
            f"top-1 {percent(self.top1)} | GM {percent(self.gm)} | HM {percent(self.hm)} | "
            f"lowest {percent(self.lowest)} | zero-recall classes {self.zero_recall} | many {percent(self.many)} "
            f"medium {percent(self.medium)} few {percent(self.few)} | ECE {percent(self.ece)}{extras}"
        )
