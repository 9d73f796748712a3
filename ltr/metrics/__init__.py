"""Metrics: probabilities and labels to one state, and from it every number of a report."""

from ltr.metrics.calibration import classwise_calibration_error, expected_calibration_error, shot_calibration
from ltr.metrics.f1 import macro_f1
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
from ltr.metrics.prediction_sets import coverage_of, set_measures
from ltr.metrics.proper import brier, log_loss
from ltr.metrics.recall import Recall
from ltr.metrics.report import NINE, Report
from ltr.metrics.scores import Scores
from ltr.metrics.shots import shot_recall
from ltr.metrics.splits import Recalls
from ltr.metrics.spread import recall_std
from ltr.metrics.titles import TITLES

__all__ = [
    "FLOOR",
    "NINE",
    "TITLES",
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
    "recall_std",
    "set_measures",
    "shot_calibration",
    "shot_recall",
    "worst_classes",
    "worst_recall",
    "zero_recall",
]
