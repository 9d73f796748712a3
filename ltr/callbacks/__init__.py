"""Callbacks: what varies at test time, and work around a step."""

from ltr.callbacks.cam import CAMSampling
from ltr.callbacks.class_weights import ClassWeights
from ltr.callbacks.conformal import Conformal
from ltr.callbacks.ema import EMA
from ltr.callbacks.evaluation import Evaluation
from ltr.callbacks.expert_aggregation import ExpertAggregation
from ltr.callbacks.head_grid import HeadGrid
from ltr.callbacks.logit_adjustment import LogitAdjustment
from ltr.callbacks.max_norm import MaxNorm
from ltr.callbacks.ncm import NCM
from ltr.callbacks.progress import Progress
from ltr.callbacks.retarget import Retarget
from ltr.callbacks.run import Run
from ltr.callbacks.shifts import Shifts
from ltr.callbacks.tau_norm import TauNorm
from ltr.callbacks.temperature_ensemble import TemperatureEnsemble
from ltr.callbacks.temperature_scaling import TemperatureScaling
from ltr.callbacks.vector_scaling import VectorScaling
from ltr.callbacks.views import Views
from ltr.methods.base import Adjustment

__all__ = [
    "EMA",
    "NCM",
    "Adjustment",
    "CAMSampling",
    "ClassWeights",
    "Conformal",
    "Evaluation",
    "ExpertAggregation",
    "HeadGrid",
    "LogitAdjustment",
    "MaxNorm",
    "Progress",
    "Retarget",
    "Run",
    "Shifts",
    "TauNorm",
    "TemperatureEnsemble",
    "TemperatureScaling",
    "VectorScaling",
    "Views",
]
