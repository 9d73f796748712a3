"""Split conformal prediction: prediction sets that contain the true class with a chosen probability.

The score of a class lies in [0, 1] and is low if the network considers the class likely. A set contains the classes
whose score is at most a threshold. The threshold is a quantile of the scores of the true classes of *calibration*
images, which must be exchangeable with the test images and unseen in training.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Score = Literal["lac", "aps"]

EVERYTHING = 1.0  # the highest possible score
ROUNDING = 1e-9  # tolerance for levels such as 0.9


def scores(probabilities: Tensor, kind: Score) -> Tensor:
    """Return (N, C) the score of every class for every image.

    `lac` is 1 - p_c, which gives the smallest sets on average. `aps` is the sum of p_c and all larger probabilities, so
    hard images get larger sets. It leaves out the randomisation of the paper, so an image always has the same set.

    Args:
        probabilities: (N, C).
        kind: `lac` or `aps`.

    Reference:
        Sadinle, Lei and Wasserman, "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels", JASA 2019,
        https://arxiv.org/abs/1609.00451; Romano, Sesia and Candes, "Classification with Valid and Adaptive Coverage",
        NeurIPS 2020, https://arxiv.org/abs/2006.02544.
    """
    if kind == "lac":
        return 1 - probabilities
    ranked, order = probabilities.sort(dim=1, descending=True, stable=True)
    return torch.empty_like(ranked).scatter(1, order, ranked.cumsum(1)).clamp(max=EVERYTHING)


def threshold(scores: Tensor, alpha: float) -> float:
    """Return the k-th smallest score, k = ceil((n + 1)(1 - alpha)), or the highest possible score if n < k.

    A new exchangeable image has a score of at most this threshold with probability at least 1 - alpha and, without
    ties, less than 1 - alpha + 1 / (n + 1). This holds on average over calibration sets: for a given one, the
    probability is distributed as Beta(k, n + 1 - k). With fewer than 1 / alpha - 1 images, only the set of all classes
    is valid.

    Args:
        scores: (n,) scores of the true classes of calibration images.
        alpha: the allowed share of images whose set misses the true class.
    """
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - ROUNDING)
    return float(scores.sort().values[rank - 1]) if rank <= len(scores) else EVERYTHING


def thresholds(scores: Tensor, labels: Tensor, alpha: float, *, classes: int, share: float) -> Tensor:
    """Return (C,) the threshold of each class: from its own images, from all images, or an interpolation.

    With the threshold from its own images, each class has the requested coverage, whatever the class distribution
    (class-conditional or Mondrian conformal prediction); with too few images, every set contains the class. With the
    threshold from all images, coverage holds only on average, if the class distribution is that of the calibration set.
    The interpolation share * own + (1 - share) * all guarantees neither: rare classes gain at the cost of larger sets.

    Args:
        scores: (N,) scores of the true classes of calibration images.
        labels: (N,) their class indices.
        alpha: the allowed share of images whose set misses the true class.
        classes: C.
        share: 1 for class-conditional thresholds, 0 for one threshold.

    Reference:
        Vovk, "Conditional Validity of Inductive Conformal Predictors", ACML 2012, https://arxiv.org/abs/1209.2673; for
        the interpolation Ding, Fermanian and Salmon, "Conformal Prediction for Long-Tailed Classification", ICLR 2026,
        https://arxiv.org/abs/2507.06867 (INTERP-Q); official code tiffanyding/long-tail-conformal.
    """
    each = torch.tensor([threshold(scores[labels == label], alpha) for label in range(classes)], dtype=torch.float64)
    return share * each + (1 - share) * threshold(scores, alpha)
