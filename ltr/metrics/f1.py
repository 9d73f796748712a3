"""Precision and recall in one number."""

from __future__ import annotations

from torch import Tensor


def macro_f1(hits: Tensor, totals: Tensor, predicted: Tensor) -> float:
    """Return the mean F1 of the classes that occur or are predicted, NaN where there is none.

    F1_c = 2 hits_c / (totals_c + predicted_c) is the harmonic mean of recall and precision; it is 0 for a class that is
    predicted and does not occur, as in scikit-learn.

    Args:
        hits: (C,) images of each class that were recognised.
        totals: (C,) images of each class.
        predicted: (C,) images predicted as each class.
    """
    either = totals + predicted
    return float((2 * hits.double() / either)[either > 0].mean())
