"""Label shift: predictions for a known test prior, and estimates of an unknown one without labels.

A prior is (C,) the share of each class, in float64. *Source* is the prior that the predictions assume.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ltr.counts import shares
from ltr.errors import InputError
from ltr.sentences import first

Assumed = Literal["train", "uniform"]

TOLERANCE = 1e-7
RIDGE = 1e-8


def assumed_prior(assumed: Assumed, counts: Tensor) -> Tensor:
    """Return (C,) the prior of the training counts (C,), or the uniform prior.

    Raises:
        InputError: if a class has no training image.
    """
    return shares(counts if assumed == "train" else torch.ones_like(counts))


def normalised(numbers: Sequence[float], classes: int) -> Tensor:
    """Normalise shares or counts of the classes to a prior (C,).

    Raises:
        InputError: unless there is one number per class, all are at least 0 and one is positive.
    """
    prior = torch.tensor(numbers, dtype=torch.float64)
    if len(prior) != classes:
        raise InputError(f"a prior needs {classes} numbers, one for each class; this one has {len(prior)}.")
    if not bool((prior >= 0).all() and 0 < prior.sum() < torch.inf):
        raise InputError("a prior consists of finite shares or counts of at least 0, not all of them 0.")
    return prior / prior.sum()


def retarget(logits: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Return (N, C) log-probabilities under another prior: log p(c | x) + log target_c - log source_c, normalised.

    This is Bayes' rule under label shift: p(x | c) is fixed and only the class shares change. A class with target 0
    gets minus infinity.

    Args:
        logits: (N, C), or log-probabilities.
        source: (C,), above 0.
        target: (C,).

    Reference:
        Saerens, Latinne and Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori Probabilities: A
        Simple Procedure", Neural Computation 14(1), 2002, https://doi.org/10.1162/089976602753284446.
    """
    return (logits + (target / source).log().to(logits)).log_softmax(1)


def em(probabilities: Tensor, source: Tensor) -> Tensor:
    """Estimate the prior of unlabelled images by maximum likelihood, with expectation maximisation.

    Starting from the source, each step retargets the predictions to the current estimate and takes their mean as the
    next one. The log-likelihood is concave in the prior, so its gradient bounds the distance to the optimum: EM stops
    when no prior can improve the mean log-likelihood by more than 1e-7. The estimate depends on calibration.

    Args:
        probabilities: (N, C) of the unlabelled images.
        source: (C,), above 0.

    Returns:
        (C,) the estimate.

    Reference:
        Saerens, Latinne and Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori Probabilities: A
        Simple Procedure", Neural Computation 14(1), 2002, https://doi.org/10.1162/089976602753284446.
    """
    likelihoods = probabilities.double() / source

    def gradient(prior: Tensor) -> Tensor:
        return likelihoods.T @ (1 / (likelihoods @ prior)) / len(likelihoods)

    prior = source
    while float((slope := gradient(prior)).max()) > 1 + TOLERANCE:
        prior = prior * slope
    return prior


def confusion_matrix(predictions: Tensor, labels: Tensor, classes: Sequence[str]) -> Tensor:
    """Return (C, C) the confusion matrix, normalised over each row (true class).

    Args:
        predictions: (N,) predicted classes.
        labels: (N,) true classes.
        classes: names of the classes.

    Raises:
        InputError: if a class has no image.
    """
    matrix = torch.zeros(len(classes), len(classes), dtype=torch.float64)
    matrix.index_put_((labels, predictions), torch.ones(len(labels), dtype=torch.float64), accumulate=True)
    images = matrix.sum(1, keepdim=True)
    if missing := (images == 0).flatten().nonzero().flatten().tolist():
        raise InputError(
            f"there is no labelled image of {first([f'class {label} ({classes[label]})' for label in missing])}: BBSE "
            "needs at least one of every class (`--data.val_per_class`, and two training images)."
        )
    return matrix / images


def bbse(confusion: Tensor, predictions: Tensor, source: Tensor) -> Tensor:
    """Estimate the prior of unlabelled images from predicted classes: black box shift estimation (BBSE).

    The estimate is the q on the simplex that minimises ||confusion^T q - shares of the predictions||. If the confusion
    matrix is close to singular, a ridge of 1e-8 towards the source selects the q nearest to it.

    Args:
        confusion: (C, C) from `confusion_matrix`, of labelled images that the network has not seen.
        predictions: (N,) classes predicted for the unlabelled images.
        source: (C,).

    Returns:
        (C,) the estimate.

    Reference:
        Lipton, Wang and Smola, "Detecting and Correcting for Label Shift with Black Box Predictors", ICML 2018,
        https://arxiv.org/abs/1802.03916, which inverts the system; the result may leave the simplex.
    """
    from scipy.optimize import nnls

    classes = len(source)
    shares = torch.bincount(predictions, minlength=classes).double() / len(predictions)
    # For a q that sums to 1, A q - b = (A - b 1^T) q. Least squares of (A - b 1^T) x = 0 and 1^T x = 1 over x >= 0 have
    # the direction of the best q, whatever its length.
    system = torch.cat([confusion.T, RIDGE**0.5 * torch.eye(classes, dtype=torch.float64)])
    target = torch.cat([shares, RIDGE**0.5 * source])
    rows = torch.cat([system - target[:, None], torch.ones(1, classes, dtype=torch.float64)])
    solution, _ = nnls(rows.numpy(), torch.eye(len(rows), dtype=torch.float64)[-1].numpy())
    return torch.from_numpy(solution / solution.sum())
