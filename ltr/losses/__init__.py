"""Losses: (`Output`, labels) to one value per sample."""

from ltr.losses.arcface import ArcFace
from ltr.losses.balanced_softmax import BalancedSoftmax
from ltr.losses.cosface import CosFace
from ltr.losses.cross_entropy import CrossEntropy
from ltr.losses.gml import GML
from ltr.losses.sphereface import SphereFace
from ltr.losses.supcon import SupCon

__all__ = ["GML", "ArcFace", "BalancedSoftmax", "CosFace", "CrossEntropy", "SphereFace", "SupCon"]
