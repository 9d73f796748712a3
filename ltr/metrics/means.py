"""Means of the recalls of the classes: from the forgiving to the strict.

Every function takes recall (C,), drops the classes that are absent from the split (NaN), computes in float64 and gives
NaN where no class is left.
"""

from __future__ import annotations

from torch import Tensor

FLOOR = 1e-3


def _present(recall: Tensor) -> Tensor:
    """Return the recalls of the classes that occur, in float64."""
    return recall[~recall.isnan()].double()


def mean_recall(recall: Tensor) -> float:
    """Return the arithmetic mean, also known as balanced accuracy."""
    return float(_present(recall).mean())


def geometric_mean(recall: Tensor) -> float:
    """Return the geometric mean, in log space, of recalls floored at 1e-3."""
    return float(_present(recall).clamp(min=FLOOR).log().mean().exp())


def harmonic_mean(recall: Tensor) -> float:
    """Return the harmonic mean of recalls floored at 1e-3."""
    return float(1 / _present(recall).clamp(min=FLOOR).reciprocal().mean())


def worst_classes(recall: Tensor) -> int:
    """Return how many classes are the worst tenth, rounded down: at least one, 0 where there is no class."""
    present = len(_present(recall))
    return max(present // 10, min(present, 1))


def worst_recall(recall: Tensor) -> float:
    """Return the arithmetic mean of the lowest recalls, those of the worst tenth of the classes."""
    return float(_present(recall).sort().values[: worst_classes(recall)].mean())


def lowest(recall: Tensor) -> float:
    """Return the lowest recall, without a floor."""
    present = _present(recall)
    return float(present.min()) if len(present) else float("nan")


def zero_recall(recall: Tensor) -> int:
    """Return the number of classes of which no image was recognised."""
    return int((recall == 0).sum())
