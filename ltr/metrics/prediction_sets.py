"""Coverage and size of prediction sets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ltr.counts import per_class, shot_groups
from ltr.metrics.means import lowest, mean_recall, shot_recall


def coverage_of(sets: Tensor, labels: Tensor) -> Tensor:
    """Return (C,) the share of the images of each class whose set contains the class, NaN without images.

    Args:
        sets: (N, C) whether the set of each image contains each class.
        labels: (N,) class indices.
    """
    covered = sets.gather(1, labels[:, None]).squeeze(1)
    classes = sets.shape[1]
    return per_class(labels[covered], classes).double() / per_class(labels, classes)


def set_measures(sets: Tensor, labels: Tensor, counts: Sequence[int]) -> dict[str, float]:
    """Return coverage and size of the sets; NaN where there is nothing to measure.

    `coverage` is the share of images whose set contains the true class, `macro_coverage` and `lowest_coverage` are mean
    and minimum over the classes, `size` is the mean number of classes in a set and `empty` the share of empty sets. For
    each shot group, coverage is the mean over its classes and size the mean over their images.

    Args:
        sets: (N, C) whether the set of each image contains each class.
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
