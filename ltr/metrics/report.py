"""All measures of one evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ltr import files
from ltr.errors import InputError
from ltr.measures import MEASURES, measure_of, percent, shown
from ltr.metrics.means import FLOOR, recall_measures
from ltr.metrics.recall import Recall


@dataclass(frozen=True, kw_only=True)
class Report:
    """All measures of a split, as fractions; NaN where there is nothing to measure.

    Each measure of the table `ltr.measures.MEASURES` is also an attribute: `report.top1`, `report.gm`.

    Attributes:
        measures: every measure by its key. Those that need all probabilities, such as `nll`, are NaN for the running
            measures of training.
        recall: recall of each class, NaN for a class absent from the split.
        counts: training images of each class.
        extras: further measures of the method, in their own units.
    """

    measures: Mapping[str, float]
    recall: list[float]
    counts: list[int]
    extras: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, recall: Recall, counts: Sequence[int], *, extras: Mapping[str, float] | None = None) -> Report:
        """Build the report over all processes; each of them must call this.

        Args:
            recall: the state of the split.
            counts: (C,) *training* images per class.
            extras: further measures of the method.

        Raises:
            InputError: if the counts are those of another number of classes.
        """
        if len(counts) != recall.classes:
            raise InputError(f"the recalls are of {recall.classes} classes, but there are {len(counts)} counts.")
        per_class = recall.compute()
        with recall.sync_context():
            values = recall_measures(per_class, counts) | recall.scores(counts)
        return cls(
            measures={key: values.get(key, math.nan) for key in MEASURES},
            recall=per_class.tolist(),
            counts=[int(count) for count in counts],
            extras=dict(extras or {}),
        )

    def __getattr__(self, key: str) -> float:
        if key in MEASURES:
            return self.measures[key]
        raise AttributeError(f"a report has no measure {key}")

    def scalars(self) -> dict[str, float]:
        """Return the main measures and the extras: what is logged in training and at the end of a test."""
        return {measure.key: float(self.measures[measure.key]) for measure in shown("main")} | dict(self.extras)

    def to_json(self) -> dict[str, object]:
        """Return the measures as JSON values: None for NaN, and the floor of the means as `floor`."""
        values = {**self.measures, "recall": self.recall, "counts": self.counts, **self.extras}
        return {key: files.plain(value) for key, value in values.items()} | {"floor": FLOOR}

    def summary(self) -> str:
        """Return the main measures on one line, in percent; "-" where there is nothing to measure."""
        extras = "".join(f" | {measure_of(key).title} {value:.3g}" for key, value in self.extras.items())
        return (
            f"top-1 {percent(self.top1)} | GM {percent(self.gm)} | HM {percent(self.hm)} | "
            f"lowest {percent(self.lowest)} | zero-recall classes {self.zero_recall} | many {percent(self.many)} "
            f"medium {percent(self.medium)} few {percent(self.few)} | ECE {percent(self.ece)}{extras}"
        )
