"""The table and the picture of a study."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltr.markdown import markdown_table
from ltr.studies.plan import Plan

COLUMNS = {
    "top1": "top-1",
    "gm": "GM",
    "hm": "HM",
    "lowest": "lowest",
    "zero_recall": "zero-recall",
    "many": "many",
    "medium": "medium",
    "few": "few",
    "ece": "ECE",
}
ESSENTIAL = 4
NOTE = (
    "In percent, mean ± standard deviation over seeds; zero-recall counts the classes of which no test image was "
    "recognised. The result of a run is its last epoch."
)


@dataclass(frozen=True)
class Cell:
    """The results of a row.

    Attributes:
        name: its name in the study file.
        title: its name in the table.
        found: the content of metrics.json by seed.
        seeds: how many there are to be.
        failure: why a run of it failed, None where none did.
    """

    name: str
    title: str
    found: dict[int, dict[str, Any]]
    seeds: int
    failure: str | None = None

    def figure(self, key: str) -> str:
        """Return mean ± standard deviation of a measure over the seeds, in percent where it is a fraction."""
        unit = 1 if key == "zero_recall" else 100
        values = [unit * measures[key] for measures in self.found.values() if measures.get(key) is not None]
        if not values:
            return "-"
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.1f}{spread}"

    def row(self) -> list[str]:
        """Return the cells of the row, its failures in place of missing figures."""
        title = self.title
        if len(self.found) < self.seeds:
            title += f" ({len(self.found)} of {self.seeds} seeds)"
        return [title, *(self.figure(key) for key in COLUMNS)]

    def recall(self) -> list[float | None]:
        """Return the mean recall of every class over the seeds."""
        each = zip(*(measures["recall"] for measures in self.found.values()), strict=True)
        return [_mean([value for value in values if value is not None]) for values in each]


def _mean(values: Sequence[float]) -> float | None:
    """Return the mean, None of nothing."""
    return math.fsum(values) / len(values) if values else None


def terminal(plan: Plan, cells: Sequence[Cell]) -> None:
    """Print the table, without its last columns where the terminal is too narrow for them."""
    from rich.console import Console
    from rich.table import Table

    def table(columns: int) -> Table:
        made = Table(title=f"{plan.name}, {len(plan.seeds)} seeds", caption=NOTE, pad_edge=False)
        made.add_column("", no_wrap=True)
        for title in list(COLUMNS.values())[:columns]:
            made.add_column(title, justify="right", no_wrap=True)
        for cell in cells:
            made.add_row(*cell.row()[: columns + 1])
        return made

    console = Console()
    wide = Console(width=1000)
    columns = len(COLUMNS)
    while columns > ESSENTIAL and wide.measure(table(columns)).maximum > console.width:
        columns -= 1
    shown = table(columns)
    Console(width=max(console.width, wide.measure(shown).maximum)).print(shown)
    for cell in cells:
        if cell.failure:
            print(f"{cell.title} failed: {cell.failure}")


def markdown(plan: Plan, cells: Sequence[Cell], *, command: str, level: int = 1) -> str:
    """Return the table as Markdown, with how it was made.

    Args:
        plan: the study.
        cells: its rows.
        command: what the user typed.
        level: of the heading.
    """
    lines = [
        f"{'#' * level} {plan.name}",
        "",
        *([plan.about, ""] if plan.about else []),
        f"`{command}`, seeds {', '.join(map(str, plan.seeds))}. {_data(cells)}{NOTE}",
        "",
        markdown_table(["", *COLUMNS.values()], [cell.row() for cell in cells]).rstrip(),
    ]
    failures = [f"- {cell.title} failed: {cell.failure}" for cell in cells if cell.failure]
    return "\n".join([*lines, *([""] if failures else []), *failures]) + "\n"


def _data(cells: Sequence[Cell]) -> str:
    """Say what the results were measured on."""
    said = {
        f"{data['name']}, imbalance {data['imbalance']:g} ({data['profile']})"
        + ("" if data["subset_seed"] is None else f", subset seed {data['subset_seed']}")
        for cell in cells
        for data in (measures["data"] for measures in cell.found.values())
    }
    return f"{'; '.join(sorted(said))}. " if said else ""


def draw(plan: Plan, cells: Sequence[Cell], path: Path) -> Path | None:
    """Draw the recall per class of the chosen rows, mean over the seeds; None where one of them has no result."""
    from ltr import plots

    chosen = [next(cell for cell in cells if cell.name == name) for name in plan.picture]
    if not all(cell.found for cell in chosen):
        return None
    first, *others = (next(iter(cell.found.values())) for cell in chosen)
    if any(other["counts"] != first["counts"] for other in others):
        return None
    recalls = {cell.title: cell.recall() for cell in chosen}
    plots.save(plots.per_class_recall(recalls, first["counts"], classes=first["classes"]), path)
    return path
