"""Statistics of the recalls of the classes: means from lenient to strict, the spread, and the shot groups.

Every function takes recall (C,), drops the classes that are absent from the split (NaN), computes in float64 and
returns NaN if no class is left.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ltr.counts import shot_groups

FLOOR = 1e-3


def _present(recall: Tensor) -> Tensor:
    return recall[~recall.isnan()].double()


def mean_recall(recall: Tensor) -> float:
    """Return the arithmetic mean, also known as balanced accuracy."""
    return float(_present(recall).mean())


def geometric_mean(recall: Tensor) -> float:
    """Return the geometric mean of the recalls floored at 1e-3, computed in log space."""
    return float(_present(recall).clamp(min=FLOOR).log().mean().exp())


def harmonic_mean(recall: Tensor) -> float:
    """Return the harmonic mean of the recalls floored at 1e-3."""
    return float(1 / _present(recall).clamp(min=FLOOR).reciprocal().mean())


def worst_classes(recall: Tensor) -> int:
    """Return the size of the worst tenth of the classes, rounded down but at least 1; 0 without classes."""
    present = len(_present(recall))
    return max(present // 10, min(present, 1))


def worst_recall(recall: Tensor) -> float:
    """Return the arithmetic mean of the recalls of the worst tenth of the classes."""
    return float(_present(recall).sort().values[: worst_classes(recall)].mean())


def lowest(recall: Tensor) -> float:
    """Return the lowest recall, without a floor."""
    present = _present(recall)
    return float(present.min()) if len(present) else float("nan")


def zero_recall(recall: Tensor) -> int:
    """Return the number of classes without a recognised image."""
    return int((recall == 0).sum())


def recall_std(recall: Tensor) -> float:
    """Return the population standard deviation over the classes: the squares are divided by their number."""
    present = _present(recall)
    return float((present - present.mean()).square().mean().sqrt())


def shot_recall(recall: Tensor, counts: Sequence[int]) -> dict[str, float]:
    """Return the mean recall of the groups `many`, `medium` and `few`.

    Args:
        recall: (C,), NaN for classes absent from the split.
        counts: (C,) *training* images per class, whatever the split.
    """
    return {group: mean_recall(recall[members]) for group, members in shot_groups(counts).items()}


def recall_measures(recall: Tensor, counts: Sequence[int]) -> dict[str, float]:
    """Return the measures that need no more than the recalls, by their keys.

    Args:
        recall: (C,), NaN for classes absent from the split.
        counts: (C,) *training* images per class.
    """
    return {
        "gm": geometric_mean(recall),
        "hm": harmonic_mean(recall),
        "lowest": lowest(recall),
        "zero_recall": zero_recall(recall),
        **shot_recall(recall, counts),
        "mean_recall": mean_recall(recall),
        "worst": worst_recall(recall),
        "worst_classes": worst_classes(recall),
        "recall_std": recall_std(recall),
    }
