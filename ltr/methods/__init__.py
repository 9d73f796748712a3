"""Methods: the LightningModules, what happens in one step."""

from ltr.methods.method import Answer, Method
from ltr.methods.tuning import Tuning

__all__ = ["Answer", "Method", "Tuning"]
