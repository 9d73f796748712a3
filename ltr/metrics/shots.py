"""Mean recall of the classes with many, medium and few training images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ltr.counts import shot_groups
from ltr.metrics.means import mean_recall


def shot_recall(recall: Tensor, counts: Sequence[int]) -> dict[str, float]:
    """Return the mean recall of `many`, `medium` and `few`, NaN where a group has no class that occurs.

    Args:
        recall: (C,), NaN for classes absent from the split.
        counts: (C,) *training* images per class, whatever the split.
    """
    return {group: mean_recall(recall[members]) for group, members in shot_groups(counts).items()}
