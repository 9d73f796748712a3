"""How far the classes lie apart."""

from __future__ import annotations

from torch import Tensor


def recall_std(recall: Tensor) -> float:
    """Return the standard deviation of recall (C,) over the classes that occur, NaN where there is none.

    The classes are all there are and no sample of more, so the squares are divided by their number.
    """
    present = recall[~recall.isnan()].double()
    return float((present - present.mean()).square().mean().sqrt())
