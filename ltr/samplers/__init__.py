"""Samplers: labels to the indices of an epoch."""

from ltr.samplers.bilateral import Bilateral
from ltr.samplers.class_aware import ClassAware
from ltr.samplers.deferred import Deferred
from ltr.samplers.effective_number import EffectiveNumber
from ltr.samplers.power import Power
from ltr.samplers.progressive import Progressive
from ltr.samplers.resampling import Oversampling, Undersampling

__all__ = [
    "Bilateral",
    "ClassAware",
    "Deferred",
    "EffectiveNumber",
    "Oversampling",
    "Power",
    "Progressive",
    "Undersampling",
]
