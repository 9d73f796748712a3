"""Figures of written results."""

from ltr.plots.confusion import confusion
from ltr.plots.counts import class_counts
from ltr.plots.curves import curves
from ltr.plots.differences import differences
from ltr.plots.front import front
from ltr.plots.group_recall import group_recall
from ltr.plots.lengths import lengths
from ltr.plots.projection import projection
from ltr.plots.recall import per_class_recall
from ltr.plots.recall_change import recall_change
from ltr.plots.reliability import Bins, reliability
from ltr.plots.shifts import shifts
from ltr.plots.style import save
from ltr.plots.trade_off import trade_off

__all__ = [
    "Bins",
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
