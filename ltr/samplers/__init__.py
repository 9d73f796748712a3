"""Samplers: labels to the indices of an epoch."""

from ltr.samplers.power import Power

__all__ = ["Power"]
