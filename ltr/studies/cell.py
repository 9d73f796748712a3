"""The results of a row of a study."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ltr.measures import mean, measure_of
from ltr.studies.job import Entry, Key


@dataclass(frozen=True)
class Cell:
    """The results of a row in a setting.

    Attributes:
        entry: the row.
        results: the content of metrics.json by subset seed and seed.
        runs: number of planned runs.
        failure: why a run failed; None if none did.
    """

    entry: Entry
    results: Mapping[Key, Mapping[str, Any]]
    runs: int
    failure: str | None = None

    @property
    def title(self) -> str:
        """The title in the table, with the number of runs if some are missing."""
        if len(self.results) == self.runs:
            return self.entry.title
        return f"{self.entry.title} ({len(self.results)} of {self.runs} {'seeds' if self.runs > 1 else 'seed'})"

    def values(self, key: str) -> dict[Key, float]:
        """Return a measure of every run that has it, in percent if it is a fraction."""
        scale = measure_of(key).scale
        return {run: scale * one[key] for run, one in self.results.items() if one.get(key) is not None}

    def mean(self, key: str) -> float | None:
        """Return the mean of a measure over the runs, None without any."""
        return mean(self.values(key).values())

    def figure(self, key: str) -> str:
        """Return mean ± standard deviation of a measure over the runs."""
        values = list(self.values(key).values())
        if not values:
            return "-"
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.1f}{spread}"

    def recall(self) -> list[float | None]:
        """Return the mean recall of every class over the runs."""
        each = zip(*(measures["recall"] for measures in self.results.values()), strict=True)
        return [mean(values) for values in each]
