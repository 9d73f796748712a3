"""Optimizers that torch does not have."""

from ltr.optimizers.sam import SAM

__all__ = ["SAM"]
