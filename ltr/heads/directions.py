"""Directions of classes in the space of features, from which a classifier can start."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ltr.counts import per_class, populated


def class_means(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return (C, D) the mean feature of each class.

    Args:
        features: (N, D).
        labels: (N,) class indices.
        classes: number of classes C.

    Raises:
        InputError: if a class has no feature.
    """
    counts = populated(per_class(labels, classes).cpu()).to(features)
    return features.new_zeros(classes, features.shape[1]).index_add(0, labels, features) / counts[:, None]


def of_means(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return (C, D) the direction of the mean feature of each class, of length 1.

    Args:
        features: (N, D), as the network makes them.
        labels: (N,) class indices.
        classes: number of classes C.

    Reference:
        Shi et al., "Long-Tail Learning with Foundation Model: Heavy Fine-Tuning Hurts", ICML 2024,
        https://arxiv.org/abs/2309.10019; official code shijxcs/LIFT, trainer.py.
    """
    return F.normalize(class_means(features, labels, classes), dim=1)


def of_texts(texts: Tensor, projection: Tensor | None) -> Tensor:
    """Return (C, D) the direction of the text of each class, of length 1.

    Args:
        texts: (T, C, P) features of each class in T templates.
        projection: (D, P) from a feature of an image to the space of texts; None if the features are in that space.

    Reference:
        As for `of_means`.
    """
    mean = F.normalize(texts, dim=2).mean(0)
    return F.normalize(mean if projection is None else mean @ projection.T, dim=1)
