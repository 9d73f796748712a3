"""Figures, from written results only."""

from ltr.plots.confusion import confusion
from ltr.plots.counts import class_counts
from ltr.plots.differences import differences
from ltr.plots.front import front, undominated
from ltr.plots.recall import per_class_recall
from ltr.plots.save import save
from ltr.plots.shifts import shifts

__all__ = ["class_counts", "confusion", "differences", "front", "per_class_recall", "save", "shifts", "undominated"]
