"""Heads: features to `Output`."""

from ltr.heads.cosine import Cosine
from ltr.heads.linear import Linear

__all__ = ["Cosine", "Linear"]
