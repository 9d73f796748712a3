"""The gallery: every recipe with what its authors report and what was measured here, in one Markdown file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from ltr import files
from ltr.markdown import markdown_table
from ltr.recipe import GROUPS, Recipe
from ltr.run import lookup
from ltr.studies.cell import Cell
from ltr.studies.job import Entry, Job
from ltr.studies.plan import Plan
from ltr.studies.study import collect
from ltr.studies.text import markdown

INTRODUCTION = """\
# The recipes

Every row is a YAML file of this folder, every figure that of a run whose `metrics.json` is in `checkpoints/`: top-1 /
GM / HM / lowest recall in percent on the balanced test split of CIFAR-100-LT (imbalance 100), last epoch, mean ±
standard deviation where there are several seeds. An empty cell has not been run. What is reported was often measured
with the best epoch on the test set; the header of each file says what deviates. The link beside a figure says how it
was made. This file is written by `ltr gallery --output configs/README.md`.
"""
COLUMNS = ("paper", "what it changes", "config", "command", "reported", "ours")
FIGURES = ("top1", "gm", "hm", "lowest")
ALWAYS = "Recipes that combine with every method: `--config recipes/...`"
ASIDE = ("recipes", "data")
BUDGET = ("--model.backbone.checkpoint", "--model.teacher.checkpoint", "--trainer.max_epochs", "--data.imbalance")


def gallery(*, runs: str = "checkpoints", output: str | None = None) -> None:
    """Print the gallery of all recipes as Markdown.

    Paper, what is changed, command, what is reported, and what was measured here, as far as results lie in the folder
    of the runs.

    Args:
        runs: folder in which the runs are kept.
        output: the file to write; printed where none is named.
    """
    text = write(sorted(Path(runs).glob("**/metrics.json")))
    if output:
        files.write_text(Path(output), text)
        print(output)
    else:
        print(text, end="")


def write(results: Iterable[Path]) -> str:
    """Return the gallery.

    Args:
        results: the metrics.json that count. One belongs to a recipe where the arguments.json beside it names that
            recipe and nothing else that matters.

    Raises:
        InputError: where a recipe has no proper header.
    """
    home = lookup.folder("configs")
    recipes = [Recipe.read(path, home / "base.yaml") for path in sorted(home.glob("*.yaml")) if path.stem != "base"]
    aside = [Recipe.read(path, home / "base.yaml") for path in sorted((home / "recipes").glob("*.yaml"))]
    studies = [Plan.read(path.name) for path in sorted((home / "studies").glob("*.yaml"))]
    read = {path: _read(path) for path in results}
    in_studies = {plan.name: collect(plan, partial(_of, read, plan)) for plan in studies}
    cells = [(name, cell) for name, sections in in_studies.items() for section in sections for cell in section.cells]
    cells += [("", cell) for cell in _single(read)]
    parts = [INTRODUCTION]
    for group in dict.fromkeys(GROUPS.values()):
        rows = [_row(recipe, cells) for recipe in recipes if recipe.group == group]
        if rows:
            parts.append(_table(group, COLUMNS, rows))
    axis = [(f"[{recipe.name}](recipes/{recipe.name})", recipe.title) for recipe in aside]
    parts.append(_table(ALWAYS, ("config", "what it is"), axis))
    for plan in studies:
        if in_studies[plan.name]:
            parts.append(markdown(plan, in_studies[plan.name], command=f"ltr study {plan.name}.yaml", level=2))
    return "\n".join(parts)


def _read(path: Path) -> dict[str, Any]:
    """Read a result, with the arguments that gave it where they lie beside it."""
    measures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    note = path.with_name("arguments.json")
    return measures | ({"arguments": json.loads(note.read_text(encoding="utf-8"))} if note.is_file() else {})


def _of(read: Mapping[Path, Any], plan: Plan, job: Job) -> Mapping[str, Any] | None:
    """Find the result of a run of a study."""
    tail = Path(plan.name, job.result).parts
    return next((measures for path, measures in read.items() if path.parts[-len(tail) :] == tail), None)


def _single(read: Mapping[Path, Any]) -> list[Cell]:
    """Return the results of runs of their own, which have no seed in their name."""
    cells = []
    for path, measures in read.items():
        run, evaluation = path.parent.parent, path.parent.name
        if not re.search(r"-\d+$", run.name):
            name = run.name if evaluation == "test" else evaluation
            entry = Entry(name, name, None, (), name, (measures["seed"],))
            cells.append(Cell(entry, {(None, measures["seed"]): measures}, 1))
    return cells


def _row(recipe: Recipe, cells: Sequence[tuple[str, Cell]]) -> tuple[str, ...]:
    """Return the cells of a recipe."""
    changes = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in recipe.changes.items())
    ours = [_ours(study, cell) for study, cell in sorted(cells, key=itemgetter(0)) if _belongs(recipe, cell)]
    return (
        re.sub(r"([^;,\s][^;]*?),? (https?://[^\s;,]+)", r"[\1](\2)", recipe.header.get("Paper", "")),
        f"{recipe.title}.<br>`{changes}`" if changes else f"{recipe.title}.",
        f"[{recipe.name}]({recipe.name})",
        f"`{recipe.command}`",
        recipe.header.get("Reported", "").removesuffix("."),
        "<br>".join(ours),
    )


def _belongs(recipe: Recipe, cell: Cell) -> bool:
    """Tell whether a row was made with a recipe as it is, budget and starting checkpoints aside."""
    if not cell.found:
        return False
    measures = next(iter(cell.found.values()))
    arguments, data = measures.get("arguments"), measures["data"]
    if arguments is None or (data["name"], data["imbalance"], data["official"]) != ("CIFAR-100-LT", 100, True):
        return False
    words = list(arguments["test"] or arguments["fit"] or ())
    named = []
    while words:
        key, value = words[:2]
        del words[:2]
        if key == "--config" and value.partition("/")[0] not in ASIDE:
            named.append(value)
        elif key not in ("--config", *BUDGET):
            return False
    return named == [recipe.name]


def _ours(study: str, cell: Cell) -> str:
    """Return the figures of a row and where they are from."""
    figures = " / ".join(cell.figure(key) for key in FIGURES)
    return f"{figures} ([{study}](#{study}))" if study else f"{figures} (`checkpoints/{cell.entry.name}`)"


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a section with a table."""
    return f"## {title}\n\n{markdown_table(columns, rows, figures=False)}"
