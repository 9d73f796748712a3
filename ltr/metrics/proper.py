"""Proper scoring rules: in expectation, the true probabilities get the best score.

Both return an integer per image, so that sums do not depend on the order. NaN counts as probability 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.metrics.recall import UNIT, in_units

LOG_UNIT = 2**32


def log_loss(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return (B,) the negative log-likelihood -log p_y of each image, in units of 2^-32.

    Probabilities are floored at 2^-126, the smallest normal float32, so no image exceeds 87.34 and a sum has room for
    2^24 of the worst images.

    Args:
        probabilities: (B, C).
        labels: (B,) class indices, y.
    """
    true = probabilities.gather(1, labels[:, None]).squeeze(1)
    wide = true.to(torch.promote_types(true.dtype, torch.float32)).nan_to_num()
    return (-wide.clamp(min=torch.finfo(torch.float32).tiny).log() * LOG_UNIT).round().long()


def brier(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return (B,) the Brier score of each image, in units of 2^-40: sum_k (p_k - [k = y])^2, from 0 to 2.

    Args:
        probabilities: (B, C).
        labels: (B,) class indices, y.

    Reference:
        Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather Review 78(1), 1950, which
        also sums over the classes; for two classes, others take half of the sum.
    """
    coarse = in_units(probabilities) >> 10  # a square in units of 2^-60 leaves room for the sum
    gaps = coarse.scatter_add(1, labels[:, None], torch.full_like(labels[:, None], -(UNIT >> 10)))
    return gaps.square().sum(1) >> 20
