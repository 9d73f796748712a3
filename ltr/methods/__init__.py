"""Methods: the LightningModules, what happens in one step."""

from ltr.methods.bbn import BBN
from ltr.methods.method import Method
from ltr.methods.rsg import RSG
from ltr.methods.tuning import Tuning

__all__ = ["BBN", "RSG", "Method", "Tuning"]
