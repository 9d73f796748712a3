"""Schedules: (epoch, epochs) to the factor of the learning rate."""

from ltr.schedules.cosine import Cosine
from ltr.schedules.exponential import Exponential
from ltr.schedules.steps import Steps

__all__ = ["Cosine", "Exponential", "Steps"]
