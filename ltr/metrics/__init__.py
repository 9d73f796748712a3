"""Metrics: states that count probabilities and labels, and the measures computed from them."""

from ltr.metrics.calibration import classwise_calibration_error, expected_calibration_error, shot_calibration
from ltr.metrics.front import over_seeds, undominated
from ltr.metrics.means import (
    FLOOR,
    geometric_mean,
    harmonic_mean,
    lowest,
    mean_recall,
    recall_std,
    shot_recall,
    worst_classes,
    worst_recall,
    zero_recall,
)
from ltr.metrics.prediction_sets import coverage_of, set_measures
from ltr.metrics.proper import brier, log_loss
from ltr.metrics.recall import Recall
from ltr.metrics.report import Report
from ltr.metrics.scores import Recalls, Scores, macro_f1

__all__ = [
    "FLOOR",
    "Recall",
    "Recalls",
    "Report",
    "Scores",
    "brier",
    "classwise_calibration_error",
    "coverage_of",
    "expected_calibration_error",
    "geometric_mean",
    "harmonic_mean",
    "log_loss",
    "lowest",
    "macro_f1",
    "mean_recall",
    "over_seeds",
    "recall_std",
    "set_measures",
    "shot_calibration",
    "shot_recall",
    "undominated",
    "worst_classes",
    "worst_recall",
    "zero_recall",
]
