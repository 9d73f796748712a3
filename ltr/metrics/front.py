"""Means over seeds and the Pareto front of many heads of one backbone."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEAD = ("split", "loss", "lr", "t_old")


def undominated(rows: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    """Return the Pareto front of the rows in top-1 and a measure."""

    def beats(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        gains = (one["top1"] - other["top1"], one[key] - other[key])
        return bool(min(gains) >= 0 and max(gains) > 0)

    return [row for row in rows if not any(beats(other, row) for other in rows)]


def over_seeds(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per head with the mean of every measure and its standard deviation as `{measure}_std`.

    Args:
        rows: one for each head and `seed`.
    """
    grouped: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[tuple(row[key] for key in HEAD)].append(row)
    means = []
    for settings, each in grouped.items():
        measures: dict[str, Any] = {}
        for key in each[0]:
            values = [row[key] for row in each if row[key] is not None]
            if key not in (*HEAD, "seed") and values:
                measures[key] = statistics.mean(values)
                measures[f"{key}_std"] = statistics.stdev(values) if len(values) > 1 else 0.0
        means.append({**dict(zip(HEAD, settings, strict=True)), **measures, "seeds": len(each)})
    return means
