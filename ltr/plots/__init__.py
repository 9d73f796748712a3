"""Figures of written results."""

from ltr.plots.confusion import confusion
from ltr.plots.counts import class_counts
from ltr.plots.curves import curves
from ltr.plots.differences import differences
from ltr.plots.lengths import lengths
from ltr.plots.projection import projection
from ltr.plots.recall import group_recall, per_class_recall, recall_change
from ltr.plots.reliability import Bins, reliability
from ltr.plots.shifts import shifts
from ltr.plots.style import save
from ltr.plots.trade_off import changes, front, trade_off

__all__ = [
    "Bins",
    "changes",
    "class_counts",
    "confusion",
    "curves",
    "differences",
    "front",
    "group_recall",
    "lengths",
    "per_class_recall",
    "projection",
    "recall_change",
    "reliability",
    "save",
    "shifts",
    "trade_off",
]
