"""Methods: the LightningModules, what happens in one step."""

from ltr.methods.method import Method
from ltr.methods.paco import PaCo
from ltr.methods.routing import Routing
from ltr.methods.tuning import Tuning

__all__ = ["Method", "PaCo", "Routing", "Tuning"]
