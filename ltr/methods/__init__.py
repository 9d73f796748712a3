"""Methods: the LightningModules, what happens in one step."""

from ltr.methods.bbn import BBN
from ltr.methods.distillation import Distillation
from ltr.methods.method import Method
from ltr.methods.mixture_likelihood import MixtureLikelihood
from ltr.methods.paco import PaCo
from ltr.methods.proco import ProCo
from ltr.methods.routing import Routing
from ltr.methods.rsg import RSG
from ltr.methods.tuning import Tuning

__all__ = ["BBN", "RSG", "Distillation", "Method", "MixtureLikelihood", "PaCo", "ProCo", "Routing", "Tuning"]
