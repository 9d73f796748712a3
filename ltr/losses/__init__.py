"""Losses: (`Output`, labels) to one value per sample."""

from ltr.losses.balanced_softmax import BalancedSoftmax
from ltr.losses.cross_entropy import CrossEntropy
from ltr.losses.gml import GML

__all__ = ["GML", "BalancedSoftmax", "CrossEntropy"]
