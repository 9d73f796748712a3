"""Split conformal prediction: sets that contain the true class with a chosen probability, whatever the network.

The score of a class is from 0 to 1, and low where the network believes in it. A set holds the classes whose score is at
most a threshold, which is a quantile of the scores that the true classes of *calibration* images have: images like
those to come, which the network has not seen.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Score = Literal["lac", "aps"]

EVERYTHING = 1.0  # the highest score there is
ROUNDING = 1e-9  # of a level such as 0.9


def scores(probabilities: Tensor, kind: Score) -> Tensor:
    """Return (N, C) the score of every class for every image.

    `lac` is 1 - p_c, which gives the smallest sets in the mean. `aps` is the sum of p_c and of all larger
    probabilities, so that hard images get larger sets; without the randomisation of the paper, so that an image always
    has the same set.

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


def threshold(own: Tensor, alpha: float) -> float:
    """Return the k-th smallest score, k = ceil((n + 1)(1 - alpha)), or the highest there is where n is below k.

    One more image of the same kind has a score of at most that with a probability of at least 1 - alpha, and, where no
    two scores are equal, of less than 1 - alpha + 1 / (n + 1). That is in the mean over calibration sets: for a given
    one the probability is a draw from Beta(k, n + 1 - k). With fewer than 1 / alpha - 1 images nothing less than
    everything is safe.

    Args:
        own: (n,) scores of the true classes of calibration images.
        alpha: the share of images that may be missed.
    """
    rank = math.ceil((len(own) + 1) * (1 - alpha) - ROUNDING)
    return float(own.sort().values[rank - 1]) if rank <= len(own) else EVERYTHING


def thresholds(own: Tensor, labels: Tensor, alpha: float, *, classes: int, share: float) -> Tensor:
    """Return (C,) the threshold of each class: that of its own images, that of all images, or one in between.

    With the threshold of its own images a class is covered as often as was asked for, whatever the shares of the
    classes (Mondrian, or class-conditional, conformal prediction); with too few of them every set contains it. With
    that of all images, the images are covered in the mean only, where the classes are mixed as in calibration. In
    between, share * own + (1 - share) * all, neither is promised: rare classes gain at the cost of larger sets.

    Args:
        own: (N,) scores of the true classes of calibration images.
        labels: (N,) their class indices.
        alpha: the share of images that may be missed.
        classes: C.
        share: 1 for the images of each class, 0 for all images.

    Reference:
        Vovk, "Conditional Validity of Inductive Conformal Predictors", ACML 2012, https://arxiv.org/abs/1209.2673; for
        what is in between Ding, Fermanian and Salmon, "Conformal Prediction for Long-Tailed Classification", ICLR 2026,
        https://arxiv.org/abs/2507.06867 (INTERP-Q); official code tiffanyding/long-tail-conformal.
    """
    each = torch.tensor([threshold(own[labels == label], alpha) for label in range(classes)], dtype=torch.float64)
    return share * each + (1 - share) * threshold(own, alpha)
