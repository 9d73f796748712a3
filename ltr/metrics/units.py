"""Probabilities as integers, whose sums are exact."""

from __future__ import annotations

import torch
from torch import Tensor

UNIT = 2**40


def in_units(probabilities: Tensor) -> Tensor:
    """Return probabilities of any floating type and shape as int64 in units of 2^-40, rounded down; 0 for NaN.

    Any float32 above 2^-17 is then exact. A sum has room for 2^23 of them.
    """
    # Two bytes are too narrow for the multiplication, which is exact in float32: the unit is a power of two.
    wide = probabilities.to(torch.promote_types(probabilities.dtype, torch.float32)).nan_to_num()
    return (wide * UNIT).floor().long()


def bin_of(units: Tensor, bins: int) -> Tensor:
    """Return the bin of each probability in units: bin k holds (k / bins, (k + 1) / bins], and the first also 0.

    Rounding down to a unit keeps a float64 k / bins, which may lie a hair above the fraction, in the bin it closes.
    """
    return ((units * bins - 1) // UNIT).clamp(0, bins - 1)
