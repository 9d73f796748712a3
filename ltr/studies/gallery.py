"""The gallery: every recipe with the reported and the measured figures, and the tables of all studies, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from ltr import files, plots
from ltr.markdown import markdown_table
from ltr.measures import shown
from ltr.run import lookup
from ltr.run.evaluation import METRICS, TEST, read_arguments
from ltr.run.recipe import GROUPS, Recipe
from ltr.studies.cell import Cell
from ltr.studies.job import Entry, Job
from ltr.studies.output import changes
from ltr.studies.plan import Plan
from ltr.studies.render import markdown, provenance_markdown
from ltr.studies.runs import COMMITTED
from ltr.studies.study import collect
from ltr.studies.table import Section

INTRODUCTION = """\
# The recipes

Each row is a YAML file in this folder. "Ours" is top-1 / GM / HM / lowest recall in percent on the balanced test split
of CIFAR-100-LT (imbalance 100), last epoch, mean ± standard deviation if there are several seeds. The link beside a
figure leads to the table it comes from; an empty cell has not been run. Reported figures are often those of the best
epoch on the test set; the header of each file lists the deviations.

`ltr gallery --output configs/README.md --results docs/results.md` writes this file and the tables.
"""
RESULTS = """\
# Results

Every figure comes from a `metrics.json` in `docs/results/`, beside the arguments of its run. `ltr study` keeps these
rows: it trains one again only if another row needs its weights.

`ltr gallery --output configs/README.md --results docs/results.md` writes this page and the
[list of all recipes](../configs/README.md). More tables: [second stages](methods.md#second-stages-on-one-network),
[many heads](studies.md#many-heads-at-once), [test time](test_time.md).
"""
COLUMNS = ("paper", "what it changes", "config", "command", "reported", "ours")
ALWAYS = "Recipes that combine with every method: `--config recipes/...`"
ASIDE = ("recipes", "data")
BUDGET = ("--model.backbone.checkpoint", "--model.teacher.checkpoint", "--trainer.max_epochs", "--data.imbalance")


class Gallery(NamedTuple):
    """Two pages of Markdown.

    Attributes:
        recipes: every recipe with its figures.
        studies: the table of every study that has results.
        pictures: figures of the studies, by their paths beside that page.
    """

    recipes: str
    studies: str
    pictures: Mapping[str, Figure]


def gallery(*, runs: str = "checkpoints", output: str | None = None, results: str | None = None) -> None:
    """Print all recipes as Markdown: paper, what each changes, its command, what is reported, what was measured here.

    The tables of all studies follow, each below the findings in docs/results/<study>/findings.md, if that file exists.
    Results are read from docs/results, then from the folder of the runs.

    Args:
        runs: folder in which the runs are kept.
        output: write the recipes to this file instead of printing them.
        results: write the tables of the studies to this file, and their pictures beside it.
    """
    folders = (COMMITTED, Path(runs))
    pages = write([path for folder in folders for path in sorted(folder.glob(f"**/{METRICS}"))])
    for path, text in ((output, pages.recipes), (results, pages.studies)):
        if path:
            files.write_text(Path(path), text)
            print(path)
    if results:
        for name, figure in pages.pictures.items():
            plots.save(figure, Path(results).parent / name)
    if not (output or results):
        print(pages.recipes, pages.studies, sep="\n", end="")


def write(results: Iterable[Path]) -> Gallery:
    """Return the gallery.

    Args:
        results: the metrics.json that count, the first of each row of a study. One belongs to a recipe if the
            arguments.json beside it names that recipe and nothing else that matters.

    Raises:
        InputError: if a recipe has no proper header.
    """
    home = lookup.folder("configs")
    recipes = Recipe.all()
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
    axis = [(f"[{Path(recipe.name).name}]({recipe.name})", recipe.title) for recipe in Recipe.all("recipes")]
    parts.append(_table(ALWAYS, ("config", "what it is"), axis))
    pictures = {plan.name: _pictures(plan, in_studies[plan.name]) for plan in studies}
    tables = [_study(plan, in_studies[plan.name], pictures[plan.name]) for plan in studies if in_studies[plan.name]]
    every = {path: figure for some in pictures.values() for path, figure in some.items()}
    return Gallery("\n".join(parts), "\n".join([RESULTS, *tables]), every)


def _pictures(plan: Plan, sections: Sequence[Section]) -> dict[str, Figure]:
    """Return the figures of a study by their paths beside the page."""
    drawn = {f"results/{plan.name}/changes{section.setting.suffix}.png": changes(section) for section in sections}
    return {path: figure for path, figure in drawn.items() if figure is not None}


def _study(plan: Plan, sections: Sequence[Section], pictures: Collection[str]) -> str:
    """Return the findings of a study, its tables, how many rows have no result yet, and what papers report."""
    begun = [
        replace(section, cells=[cell for cell in section.cells if cell.results or cell.failure]) for section in sections
    ]
    findings = COMMITTED / plan.name / "findings.md"
    above = [findings.read_text(encoding="utf-8").strip()] if findings.is_file() else []
    above += [f"![What became of each network: harmonic mean against top-1]({path})" for path in pictures]
    text = markdown(plan, begun, command=f"ltr study {plan.name}.yaml", level=2, above=above)
    waiting = sum(len(section.cells) for section in sections) - sum(len(section.cells) for section in begun)
    text += f"\n{waiting} further rows of this study have not been run yet.\n" if waiting else ""
    if any(cell.entry.reported for section in begun for cell in section.cells):
        text += f"\n{provenance_markdown(plan, begun, level=3)}"
    return text


def _read(path: Path) -> dict[str, Any]:
    """Read a result, with its arguments if they are noted beside it."""
    measures = files.read_json(path)
    arguments = read_arguments(path.parent)
    return measures if arguments is None else measures | {"arguments": arguments}


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
            name = run.name if evaluation == TEST else evaluation
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
    """Return whether a row was made with an unchanged recipe, budget and starting checkpoints aside, from scratch."""
    if not cell.results:
        return False
    measures = next(iter(cell.results.values()))
    if (measures.get("provenance") or {}).get("pretrained_on"):
        return False
    arguments, data = measures.get("arguments"), measures["data"]
    if arguments is None or (data["name"], data["imbalance"], data["official"]) != ("CIFAR-100-LT", 100, True):
        return False
    words = list(arguments["test"] or arguments["fit"] or ())
    named = []
    for key, value in zip_longest(words[::2], words[1::2], fillvalue=""):
        if key == "--config" and value.partition("/")[0] not in ASIDE:
            named.append(value)
        elif key not in ("--config", *BUDGET):
            return False
    return named == [recipe.name]


def _ours(study: str, cell: Cell) -> str:
    """Return the figures of a row and where they are from."""
    figures = " / ".join(cell.figure(measure.key) for measure in shown("summary"))
    source = f"[{study}](../docs/results.md#{study})" if study else f"`checkpoints/{cell.entry.name}`"
    return f"{figures} ({source})"


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a section with a table."""
    return f"## {title}\n\n{markdown_table(columns, rows, figures=False)}"
