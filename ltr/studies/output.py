"""The files of a study: tables and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ltr import files, plots
from ltr.studies.cell import Cell
from ltr.studies.plan import Plan
from ltr.studies.render import html, latex, markdown, provenance_markdown
from ltr.studies.table import Section, compared


def write(folder: Path, plan: Plan, sections: Sequence[Section], *, command: str) -> None:
    """Write the tables and pictures into the folder of a study, and print where they are.

    The tables have the command that the user typed.
    """
    pictures = {section.setting: _drawn(plan, section) for section in sections}
    paths: dict[Path, Figure] = {}
    for setting, figures in pictures.items():
        paths |= {folder / f"{kind}{setting.suffix}.png": figure for kind, figure in figures.items()}
    for path, figure in paths.items():
        plots.save(figure, path)
    files.write_text(folder / "table.md", markdown(plan, sections, command=command))
    files.write_text(folder / "table.tex", latex(sections, command=command))
    files.write_text(folder / "provenance.md", provenance_markdown(plan, sections))
    files.write_csv(folder / "table.csv", list(_rows(sections)))
    files.write_text(folder / "table.html", html(plan, sections, command=command, pictures=pictures))
    print(f"\ntable: {folder / 'table.md'} (and .csv, .tex, .html), {folder / 'provenance.md'}")
    print(*(f"picture: {path}" for path in paths), sep="\n")


def _drawn(plan: Plan, section: Section) -> dict[str, Figure]:
    """Return the figures that can be drawn, by name."""
    figures = {"recall": _recalls(plan, section), "differences": _differences(section), "changes": changes(section)}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _recalls(plan: Plan, section: Section) -> Figure | None:
    """Plot the mean per-class recall of the chosen rows; None if one of them has no result."""
    chosen = [cell for cell in section.cells if cell.entry.name in plan.picture]
    runs = [measures for cell in chosen for measures in cell.results.values()]
    if not all(cell.results for cell in chosen) or any(measures["counts"] != runs[0]["counts"] for measures in runs):
        return None
    recalls = {cell.title: cell.recall() for cell in chosen}
    return plots.per_class_recall(recalls, runs[0]["counts"], classes=runs[0]["classes"])


def _differences(section: Section) -> Figure | None:
    """Plot the differences from the baseline; None if none of them has an interval."""
    drawn = {
        title: {key: (one.mean, one.margin) for key, one in row.items()} for title, row in compared(section).items()
    }
    known = any(margin is not None for row in drawn.values() for _, margin in row.values())
    return plots.differences(drawn, section.base.entry.title) if known else None


def changes(section: Section) -> Figure | None:
    """Plot what later rows make of each trained network; None unless two changes were each made to two networks."""
    cells = {cell.entry.name: cell for cell in section.cells}
    networks: dict[str, dict[str, dict[str, float]]] = {}
    for cell in section.cells:
        top1, hm = cell.mean("top1"), cell.mean("hm")
        if top1 is not None and hm is not None:
            first = origin(cell, cells).entry.title
            change = "" if first == cell.entry.title else without(cell.entry.title, first)
            networks.setdefault(first, {})[change] = {"top1": top1, "hm": hm}
    several = {title: variants for title, variants in networks.items() if len(variants) > 1}
    often = Counter(change for variants in several.values() for change in variants if change)
    return plots.changes(several) if sum(count > 1 for count in often.values()) > 1 else None


def origin(cell: Cell, cells: Mapping[str, Cell]) -> Cell:
    """Return the row of the training that a row started from, its own if it started from none.

    A row that needs several, such as a student with a teacher, counts with the first of them by name.
    """
    needs = sorted(cell.entry.needs)
    return origin(cells[needs[0]], cells) if needs else cell


def without(title: str, start: str) -> str:
    """Return a title without the words that it has in common with the start of another one."""
    words = title.split()
    for word, other in zip(title.split(), start.split(), strict=False):
        if word.strip(",") != other.strip(","):
            break
        words = words[1:]
    return " ".join(words) or title


def _rows(sections: Sequence[Section]) -> Iterator[dict[str, Any]]:
    """Yield a row for every run, with every value that is a number or a string."""
    for section in sections:
        for cell in section.cells:
            for (subset_seed, seed), measures in cell.results.items():
                yield {
                    "row": cell.entry.name,
                    "title": cell.entry.title,
                    "data": section.setting.data,
                    "recipe": section.setting.recipe,
                    "subset_seed": subset_seed,
                    "seed": seed,
                    "reported": cell.entry.reported,
                    **{key: value for key, value in measures.items() if isinstance(value, int | float | str)},
                    **(measures.get("provenance") or {}),
                }
