"""Metrics: probabilities and labels to one state, and from it every number of a report."""

from ltr.metrics.calibration import expected_calibration_error
from ltr.metrics.means import FLOOR, geometric_mean, harmonic_mean, lowest, mean_recall, zero_recall
from ltr.metrics.recall import Recall, Recalls
from ltr.metrics.report import Report
from ltr.metrics.shots import shot_recall

__all__ = [
    "FLOOR",
    "Recall",
    "Recalls",
    "Report",
    "expected_calibration_error",
    "geometric_mean",
    "harmonic_mean",
    "lowest",
    "mean_recall",
    "shot_recall",
    "zero_recall",
]
