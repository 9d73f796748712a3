"""How far confidence lies from accuracy."""

from __future__ import annotations

from torch import Tensor


def expected_calibration_error(hits: Tensor, confidences: Tensor, *, images: int) -> float:
    """Return the expected calibration error from sums per bin, NaN without images.

    ECE = sum_b (n_b / n) |hits_b / n_b - confidences_b / n_b|, where n_b cancels: the size of a bin is not needed.

    Args:
        hits: (bins,) images recognised.
        confidences: (bins,) sums of the confidences.
        images: n, over all bins.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599.
    """
    return float((hits.double() - confidences.double()).abs().sum()) / images if images else float("nan")
