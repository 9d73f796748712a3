"""What sets of classes are worth that shall contain the true one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ltr.counts import per_class, shot_groups
from ltr.metrics.means import lowest, mean_recall
from ltr.metrics.shots import shot_recall


def coverage_of(sets: Tensor, labels: Tensor) -> Tensor:
    """Return (C,) the share of the images of each class whose set contains it, NaN for a class without images.

    Args:
        sets: (N, C) whether the set of an image contains a class.
        labels: (N,) class indices.
    """
    covered = sets.gather(1, labels[:, None]).squeeze(1)
    classes = sets.shape[1]
    return per_class(labels[covered], classes).double() / per_class(labels, classes)


def set_measures(sets: Tensor, labels: Tensor, counts: Sequence[int]) -> dict[str, float]:
    """Return how often the true class is in its set, and how large the sets are; NaN where there is nothing to measure.

    `coverage` is over the images, `macro_coverage` the mean over the classes, `lowest_coverage` that of the class with
    the lowest, `size` and `empty` the mean number of classes in a set and the share of sets without any. By shot group,
    coverage is the mean over the classes, and size that over the images of these classes.

    Args:
        sets: (N, C) whether the set of an image contains a class.
        labels: (N,) class indices.
        counts: (C,) *training* images per class.
    """
    coverage, sizes = coverage_of(sets, labels), sets.sum(1).double()
    groups = shot_groups(counts)
    return {
        "coverage": float(sets.gather(1, labels[:, None]).double().mean()),
        "macro_coverage": mean_recall(coverage),
        "lowest_coverage": lowest(coverage),
        "size": float(sizes.mean()),
        "empty": float((sizes == 0).double().mean()),
        **{f"coverage_{group}": value for group, value in shot_recall(coverage, counts).items()},
        **{
            f"size_{group}": float(sizes[torch.isin(labels, torch.tensor(members, dtype=labels.dtype))].mean())
            for group, members in groups.items()
        },
    }
