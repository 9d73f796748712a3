"""Losses: (`Output`, labels) to one value per sample."""

from ltr.losses.arcface import ArcFace
from ltr.losses.balanced_softmax import BalancedSoftmax
from ltr.losses.cdt import CDT
from ltr.losses.class_balanced import ClassBalanced
from ltr.losses.class_weights import ClassWeights
from ltr.losses.combined import Combined
from ltr.losses.cosface import CosFace
from ltr.losses.cost_sensitive import CostSensitive
from ltr.losses.cross_entropy import CrossEntropy
from ltr.losses.dbm import DBM
from ltr.losses.deferred import Deferred
from ltr.losses.feature_balanced import FeatureBalanced
from ltr.losses.focal import Focal
from ltr.losses.gml import GML
from ltr.losses.influence_balanced import InfluenceBalanced
from ltr.losses.inverse_softmax import InverseSoftmax
from ltr.losses.label_aware_smoothing import LabelAwareSmoothing
from ltr.losses.label_smoothing import LabelSmoothing
from ltr.losses.lade import LADE
from ltr.losses.ldam import LDAM
from ltr.losses.los import LOS
from ltr.losses.paco import PaCo
from ltr.losses.per_expert import PerExpert
from ltr.losses.ride import RIDE
from ltr.losses.shike import SHIKE
from ltr.losses.sigmoid_focal import SigmoidFocal
from ltr.losses.softmax_bce import SoftmaxBCE
from ltr.losses.softmax_equalization import SoftmaxEqualization
from ltr.losses.sphereface import SphereFace
from ltr.losses.supcon import SupCon
from ltr.losses.vector_scaling import VectorScaling

__all__ = [
    "CDT",
    "DBM",
    "GML",
    "LADE",
    "LDAM",
    "LOS",
    "RIDE",
    "SHIKE",
    "ArcFace",
    "BalancedSoftmax",
    "ClassBalanced",
    "ClassWeights",
    "Combined",
    "CosFace",
    "CostSensitive",
    "CrossEntropy",
    "Deferred",
    "FeatureBalanced",
    "Focal",
    "InfluenceBalanced",
    "InverseSoftmax",
    "LabelAwareSmoothing",
    "LabelSmoothing",
    "PaCo",
    "PerExpert",
    "SigmoidFocal",
    "SoftmaxBCE",
    "SoftmaxEqualization",
    "SphereFace",
    "SupCon",
    "VectorScaling",
]
