"""Samplers: labels to the indices of an epoch."""

from ltr.samplers.bilateral import Bilateral
from ltr.samplers.class_aware import ClassAware
from ltr.samplers.deferred import Deferred
from ltr.samplers.effective_number import EffectiveNumber
from ltr.samplers.levelled import Oversampling, Undersampling
from ltr.samplers.power import Power
from ltr.samplers.progressive import Progressive

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
