"""The tables of a study, independent of the format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ltr.measures import measure_of, shown
from ltr.studies.cell import Cell
from ltr.studies.difference import CONFIDENCE, Difference, paired
from ltr.studies.job import Setting

NOTE = (
    "In percent, mean ± standard deviation over seeds; zero-recall is the number of classes without a recognised test "
    "image. The result of a run is its last epoch."
)
UPPER = (
    "UA is the upper reference accuracy, the top-1 of the row or of the baseline, whichever is more, when trained on "
    "the balanced set; RA, the relative accuracy, is the part of it that is reached (Zhang et al., Deep Long-Tailed "
    "Learning: A Survey, TPAMI 2023)."
)
BOLD = (
    "Bold: significantly better than every other row (the "
    f"{100 * CONFIDENCE:.0f} % interval of the paired differences excludes 0)."
)
INTERVAL = (
    f"mean of the differences seed by seed in points, with the {100 * CONFIDENCE:.0f} % interval of the paired t-test, "
    "bold where it excludes 0. Seeds of a head on one backbone say nothing about other backbones."
)
MADE = (
    "Top-1 as published (reported), as measured here at the last epoch (ours), and at the best measured epoch on the "
    "test set (oracle_best), which nobody can choose without the labels of the test set. Passes are the images that "
    "went through the network in training, per training image. Rows that only test another row's network are left out."
)

Column = Callable[[Mapping[str, Any], Mapping[str, Any]], str]


def external_data(run: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    """Return what a run has from other data: the pretraining with the classes that it shares, and synthetic images."""
    sets = origin.get("pretrained_on", {}).items()
    words = [name if number is None else f"{name} ({number} of the classes)" for name, number in sets]
    return ", ".join([*words, f"{sum(run['data'].get('synthetic', ())):,} synthetic images"])


MADE_OF: dict[str, Column] = {
    "params": lambda run, _: f"{run['params']:,}",
    "epochs": lambda _, origin: str(origin["epochs"]),
    "passes": lambda _, origin: f"{origin['passes']:.1f}",
    "augmentation": lambda _, origin: str(origin["augmentation"]),
    "views": lambda _, origin: str(origin["views"]),
    "experts": lambda _, origin: str(origin["experts"]),
    "starts from": lambda _, origin: ", ".join(origin["starts_from"]) or "nothing",
    "external data": external_data,
    "seconds": lambda run, _: f"{run['seconds']:.0f}",
    "device": lambda _, origin: str(origin["device"]),
    "version": lambda _, origin: str(origin["version"]),
    "split": lambda run, _: str(run["data"]["fingerprints"]["train"][:8]),
}


@dataclass(frozen=True)
class Section:
    """The rows of a setting.

    Attributes:
        setting: what the rows share.
        cells: the rows.
        base: the baseline.
        upper: upper reference accuracy by row, in percent: the higher top-1 of row and baseline when trained on the
            balanced set; empty if the study has none.
    """

    setting: Setting
    cells: Sequence[Cell]
    base: Cell
    upper: Mapping[str, float] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        """A sentence for every row with a failed run."""
        where = f" ({self.setting.title})" if self.setting.title else ""
        return [f"{cell.entry.title}{where} failed: {cell.failure}" for cell in self.cells if cell.failure]

    @property
    def data(self) -> str:
        """The data of the results."""
        values = {
            f"{data['name']}, imbalance {data['imbalance']:g} ({data['tail']})"
            + ("" if data["subset_seed"] is None else f", subset seed {data['subset_seed']}")
            for cell in self.cells
            for data in (measures["data"] for measures in cell.results.values())
        }
        return "; ".join(sorted(values))


@dataclass(frozen=True)
class Table:
    """A table of strings.

    Attributes:
        head: the titles of the columns; the first column has the titles of the rows.
        rows: their cells.
        note: an explanation for the reader.
        bold: (row, column) of the bold cells.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    bold: frozenset[tuple[int, int]] = frozenset()

    def written(self, bold: Callable[[str], str], plain: Callable[[str], str] = str) -> list[list[str]]:
        """Return the rows, each cell formatted as bold or plain text."""
        return [
            [(bold if (row, column) in self.bold else plain)(cell) for column, cell in enumerate(cells)]
            for row, cells in enumerate(self.rows)
        ]


def results(section: Section) -> Table:
    """Return mean and standard deviation of every measure."""
    measures = shown("main")
    head, note = ["", *(measure.title for measure in measures)], NOTE
    rows = [[cell.title, *(cell.figure(measure.key) for measure in measures)] for cell in section.cells]
    if section.upper:
        head, note = [*head, "UA", "RA"], f"{NOTE} {UPPER}"
        for row, cell in zip(rows, section.cells, strict=True):
            row += _relative(cell, section.upper.get(cell.entry.name))
    bold = frozenset(
        (best, column) for column, one in enumerate(measures, 1) for best in _ahead(section.cells, one.key)
    )
    return Table(head, rows, f"{note} {BOLD}" if bold else note, bold)


def _relative(cell: Cell, upper: float | None) -> list[str]:
    """Return the upper reference accuracy of a row and the relative accuracy."""
    mean = cell.mean("top1")
    return ["-", "-"] if upper is None or mean is None else [f"{upper:.1f}", f"{100 * mean / upper:.1f}"]


def _ahead(cells: Sequence[Cell], key: str) -> Iterator[int]:
    """Yield the row that is significantly better than every other row, if there is one."""
    sign = -1 if measure_of(key).better == "lower" else 1
    some = {row: values for row, cell in enumerate(cells) if (values := cell.values(key))}
    for row, values in some.items():
        others = [paired(values, other) for position, other in some.items() if position != row]
        if others and all(apart is not None and apart.clear and sign * apart.mean > 0 for apart in others):
            yield row


def differences(section: Section) -> Table | None:
    """Return the differences from the baseline; None if no row has two runs to compare."""
    apart = compared(section)
    if not any(one.margin is not None for row in apart.values() for one in row.values()):
        return None
    base, keys = section.base.entry.title, [measure.key for measure in shown("compared")]
    rows = [(title, *(str(row[key]) if key in row else "-" for key in keys)) for title, row in apart.items()]
    bold = frozenset(
        (line, column)
        for line, row in enumerate(apart.values())
        for column, key in enumerate(keys, 1)
        if key in row and row[key].clear
    )
    head = (f"minus {base}", *(measure_of(key).title for key in keys))
    return Table(head, rows, f"Against {base}: {INTERVAL}", bold)


def compared(section: Section) -> dict[str, dict[str, Difference]]:
    """Return the differences from the baseline by title of the row and by measure."""
    rows, keys = {}, [measure.key for measure in shown("compared")]
    for cell in section.cells:
        row = {key: paired(cell.values(key), section.base.values(key)) for key in keys}
        if cell is not section.base and any(row.values()):
            rows[cell.entry.title] = {key: one for key, one in row.items() if one is not None}
    return rows


def provenance(section: Section) -> Table:
    """Return cost and provenance of each trained row."""
    rows = []
    for cell in (cell for cell in section.cells if cell.entry.fit is not None):
        reported = "-" if cell.entry.reported is None else f"{cell.entry.reported:g}"
        each = (_said(column, cell) for column in MADE_OF.values())
        rows.append((cell.title, reported, cell.figure("top1"), cell.figure("oracle_best"), *each))
    return Table(("", "reported", "ours", "oracle_best", *MADE_OF), rows, MADE)


def _said(column: Column, cell: Cell) -> str:
    """Return the distinct values of the runs of a row; "-" for a missing value."""
    values: dict[str, None] = {}
    for measures in cell.results.values():
        try:
            values[column(measures, measures.get("provenance") or {})] = None
        except KeyError:  # of an older result
            values["-"] = None
    return ", ".join(values) or "-"
