"""Paired differences between rows of a study, with confidence intervals."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from ltr.studies.job import Key

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences with its confidence interval.

    Attributes:
        mean: over the pairs.
        margin: half the width of the interval; None with a single pair, or if all pairs are equal.
        pairs: number of pairs.
    """

    mean: float
    margin: float | None
    pairs: int

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.margin is not None and abs(self.mean) > self.margin

    def __str__(self) -> str:
        mean = f"{self.mean:+z.1f}"
        return (
            mean
            if self.margin is None
            else f"{mean} [{self.mean - self.margin:+z.1f}, {self.mean + self.margin:+z.1f}]"
        )


def paired(ours: Mapping[Key, float], theirs: Mapping[Key, float]) -> Difference | None:
    """Compare two rows run by run, so that the effect of a seed on both rows cancels.

    The interval is that of the paired t-test, mean ± t_{0.975, n - 1} s / sqrt(n). With several subset seeds, runs on
    the same images are not independent: their differences are averaged first, and n is the number of subset seeds.

    Args:
        ours: a measure by subset seed and seed.
        theirs: the same measure of the other row.

    Returns:
        None if the two have no run in common.

    Reference:
        Student, "The Probable Error of a Mean", Biometrika 6(1), 1908; `scipy.stats.ttest_rel` gives the same.
    """
    from scipy.stats import t

    groups: dict[int | None, list[float]] = defaultdict(list)
    for key in filter(theirs.__contains__, ours):
        groups[key[0]].append(ours[key] - theirs[key])
    pairs = [statistics.mean(group) for group in groups.values()] if len(groups) > 1 else [*chain(*groups.values())]
    if not pairs:
        return None
    # Equal differences give no estimate of the noise.
    if len(pairs) == 1 or max(pairs) - min(pairs) < 1e-9:
        return Difference(statistics.mean(pairs), None, len(pairs))
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(pairs) - 1))
    return Difference(statistics.mean(pairs), quantile * statistics.stdev(pairs) / math.sqrt(len(pairs)), len(pairs))
