"""Schedules: (epoch, epochs) to the factor of the learning rate."""

from ltr.schedules.cosine import Cosine
from ltr.schedules.steps import Steps

__all__ = ["Cosine", "Steps"]
