"""Callbacks: what varies at test time, and work around a step."""

from ltr.callbacks.adjustment import Adjustment
from ltr.callbacks.evaluation import Evaluation
from ltr.callbacks.logit_adjustment import LogitAdjustment
from ltr.callbacks.progress import Progress
from ltr.callbacks.run import Run
from ltr.callbacks.temperature_ensemble import TemperatureEnsemble

__all__ = ["Adjustment", "Evaluation", "LogitAdjustment", "Progress", "Run", "TemperatureEnsemble"]
