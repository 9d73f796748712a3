"""Heads: features to `Output`."""

from ltr.heads.cosine import Cosine
from ltr.heads.expert_heads import ExpertHeads
from ltr.heads.linear import Linear
from ltr.heads.lws import LWS
from ltr.heads.projection import Projection
from ltr.heads.router import Router

__all__ = ["LWS", "Cosine", "ExpertHeads", "Linear", "Projection", "Router"]
