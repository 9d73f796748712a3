"""Heads: features to `Output`."""

from ltr.heads.cosine import Cosine
from ltr.heads.linear import Linear
from ltr.heads.lws import LWS
from ltr.heads.projection import Projection

__all__ = ["LWS", "Cosine", "Linear", "Projection"]
