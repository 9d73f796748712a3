"""The table of measures: what each is called, its unit, which direction is better and where it is shown.

To add a measure, write its function in `ltr/metrics`, add a row here, and test it. The table needs no torch, so the web
page can read it before torch is imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

NOTE = (
    "In percent: recalls, their means, F1 and calibration errors; everything else is as in metrics.json. Zero-recall "
    "counts the classes of which no test image was recognised. The result of a run is its last epoch."
)

Place = Literal["main", "summary", "progress", "compared", "front"]


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        key: the key in metrics.json.
        title: the heading of a column.
        about: the definition, in one line.
        name: the title in words, for the axis of a figure; empty where the title will do.
        unit: "%" for a fraction that is shown in percent, "classes" for a number of classes, else empty.
        better: whether higher or lower values are better.
        shown: the places that show it. "main": logged in training, and a column of tables; "summary": lists of runs,
            curves and short tables; "progress": the progress bar; "compared": paired differences of a study; "front":
            plotted against top-1.
    """

    key: str
    title: str
    about: str
    name: str = ""
    unit: Literal["%", "classes", ""] = "%"
    better: Literal["higher", "lower"] = "higher"
    shown: tuple[Place, ...] = ()

    @property
    def scale(self) -> int:
        """The factor from the value in metrics.json to the value that is shown."""
        return 100 if self.unit == "%" else 1

    def axis(self, unit: str = "") -> str:
        """Return the label of an axis: the name with the given unit, or its own."""
        unit = unit or self.unit
        name = self.name or self.title
        return f"{name} ({unit})" if unit else name


MEASURES = {
    measure.key: measure
    for measure in (
        Measure(
            "top1",
            "top-1",
            "recognised images / images; equals the mean recall only on a balanced split",
            shown=("main", "summary", "progress", "compared"),
        ),
        Measure(
            "gm",
            "GM",
            "geometric mean of the recalls, floored at 1e-3",
            name="geometric mean",
            shown=("main", "summary", "compared"),
        ),
        Measure(
            "hm",
            "HM",
            "harmonic mean of the recalls, floored at 1e-3",
            name="harmonic mean",
            shown=("main", "summary", "progress", "compared", "front"),
        ),
        Measure(
            "lowest",
            "lowest",
            "lowest recall, without a floor",
            name="lowest recall",
            shown=("main", "summary", "progress", "compared", "front"),
        ),
        Measure(
            "zero_recall",
            "zero-recall",
            "number of classes without a recognised image",
            name="zero-recall classes",
            unit="classes",
            better="lower",
            shown=("main",),
        ),
        Measure("many", "many", "mean recall of classes with > 100 training images", shown=("main", "compared")),
        Measure("medium", "medium", "mean recall of classes with 20 to 100 training images", shown=("main",)),
        Measure("few", "few", "mean recall of classes with < 20 training images", shown=("main", "compared")),
        Measure("ece", "ECE", "expected calibration error", better="lower", shown=("main",)),
        Measure("mean_recall", "mean recall", "mean of the recalls, also known as balanced accuracy"),
        Measure("worst", "worst", "mean recall of the worst tenth of the classes, at least one class"),
        Measure("worst_classes", "worst classes", "size of that tenth", unit="classes"),
        Measure("recall_std", "spread of recalls", "standard deviation of the recalls", better="lower"),
        Measure("macro_f1", "macro-F1", "mean F1 of the classes"),
        Measure("nll", "NLL", "mean negative log-likelihood", unit="", better="lower"),
        Measure("brier", "Brier", "mean Brier score, summed over the classes", unit="", better="lower"),
        Measure("classwise_ece", "class-wise ECE", "class-wise expected calibration error", better="lower"),
        Measure("ece_many", "ECE many", "ECE on classes with > 100 training images", better="lower"),
        Measure("ece_medium", "ECE medium", "ECE on classes with 20 to 100 training images", better="lower"),
        Measure("ece_few", "ECE few", "ECE on classes with < 20 training images", better="lower"),
    )
}

# Fractions that only some evaluations have.
OTHERS = {
    "oracle_best": Measure("oracle_best", "oracle best", "best top-1 on the test set in the course of training"),
    "flops_saved": Measure("flops_saved", "flops saved", "share of the FLOPs that RIDE's routing saves"),
}


def measure_of(key: str) -> Measure:
    """Return the row of a key; one with the key as title and no unit if the table has none."""
    return MEASURES.get(key) or OTHERS.get(key) or Measure(key, key.replace("_", " "), "", unit="")


def shown(place: Place) -> list[Measure]:
    """Return the measures that a place shows, in the order of the table."""
    return [measure for measure in MEASURES.values() if place in measure.shown]


def written(key: str, value: float | None) -> str:
    """Return a measure as text, in percent where it is a fraction; `-` where there was nothing to measure."""
    if value is None:
        return "-"
    if measure_of(key).unit == "%":
        return f"{100 * value:.2f}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what was measured, None if nothing was."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def percent(value: float | None) -> str:
    """Return a fraction in percent, `-` for None and NaN."""
    return "-" if value is None or value != value else f"{100 * value:.1f}"
