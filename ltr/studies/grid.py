"""Many tunings of one network at once, over seeds, and what none of them beats."""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ltr import files, plots
from ltr.errors import InputError
from ltr.markdown import markdown_table
from ltr.studies.runs import Perform

DESCRIPTION = """Tune heads with every loss and learning rate of a config at once, on features that are computed once
per seed, and draw what they give up in the mean for the worst classes. Arguments that are not listed here go to the
tuning, such as --model.backbone.checkpoint RUN or --data.val_per_class 5."""
SAID = ("split", "loss", "lr", "t_old")
SHOWN = {"top1": "top-1", "gm": "GM", "hm": "HM", "lowest": "lowest"}
NOTE = "In percent, mean ± standard deviation over seeds. These are the heads that no other one beats in both columns."


def tune_grid(arguments: Sequence[str], perform: Perform) -> None:
    """Run the tunings of all seeds and print the front.

    Args:
        arguments: options, and arguments for every tuning.
        perform: runs a verb with its arguments, raising `InputError` where they cannot be used.

    Raises:
        InputError: where a tuning cannot be run, or results of other arguments are in the way.
    """
    parser = argparse.ArgumentParser("ltr tune-grid", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--config", default="tune_grid.yaml", help="a tuning with a HeadGrid")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one pass each")
    parser.add_argument("--runs", default="checkpoints", help="folder in which the folder of the grid is kept")
    parser.add_argument("--name", default="tune_grid", help="the folder of the grid")
    said, common = parser.parse_known_args(arguments)
    folder = Path(said.runs) / said.name
    tables = [_run(folder, seed, ["--config", said.config, *common], perform) for seed in said.seeds]
    rows = over_seeds(tables)
    files.write_csv(folder / "front.csv", rows)
    split = rows[0]["split"]
    chosen = [row for row in rows if row["split"] == split]
    plots.save(plots.front(chosen), folder / "front.png")
    text = markdown(chosen, split=split, command=" ".join(["ltr tune-grid", *arguments]), seeds=said.seeds)
    files.write_text(folder / "front.md", text)
    print(text, end="")
    print(f"\nall heads: {folder / 'front.csv'}\npicture: {folder / 'front.png'}")


def _run(folder: Path, seed: int, words: Sequence[str], perform: Perform) -> list[dict[str, Any]]:
    """Return the table of a seed, from its folder where it is finished."""
    home = folder / str(seed)
    table, note = home / "grid.csv", home / "arguments.json"
    if not table.is_file() or not note.is_file():
        perform(
            "fit", [*words, "--seed_everything", str(seed), "--runs", str(folder), "--name", home.name, "--overwrite"]
        )
        if not table.is_file():
            raise InputError(f"{words[1]} has trained no grid: give it the callback HeadGrid, as tune_grid.yaml does.")
        files.write_json(note, {"fit": list(words)})
    elif json.loads(note.read_text(encoding="utf-8")) != {"fit": list(words)}:
        raise InputError(f"{table} was made with other arguments: delete {folder}, or choose another `--name`.")
    with table.open(encoding="utf-8", newline="") as lines:
        return [_read(row) for row in csv.DictReader(lines)]


def _read(row: Mapping[str, str]) -> dict[str, Any]:
    """Turn the cells of a row into what they mean; an empty one is None."""
    words = ("split", "loss")
    return {key: value if key in words else float(value) if value else None for key, value in row.items()}


def over_seeds(tables: Iterable[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return one row per head with the mean of every measure, and its standard deviation as `{measure}_std`.

    Args:
        tables: the rows of each seed.
    """
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for table in tables:
        for row in table:
            found[tuple(row[key] for key in SAID)].append(row)
    rows = []
    for head, each in found.items():
        measures: dict[str, Any] = {}
        for key in each[0]:
            values = [row[key] for row in each if row[key] is not None]
            if key not in SAID and values:
                measures[key] = statistics.mean(values)
                measures[f"{key}_std"] = statistics.stdev(values) if len(values) > 1 else 0.0
        rows.append({**dict(zip(SAID, head, strict=True)), **measures, "seeds": len(each)})
    return rows


def markdown(rows: Sequence[Mapping[str, Any]], *, split: str, command: str, seeds: Sequence[int]) -> str:
    """Return the old head and the heads that none beats, in top-1 and harmonic mean or in top-1 and lowest recall."""
    edge = [row for key in ("hm", "lowest") for row in plots.undominated(rows, key)]
    kept = [row for row in rows if row["loss"] == "old head" or row in edge]
    kept.sort(key=lambda row: -row["top1"])
    choice = "" if split == "val" else " To choose one, carve out a validation split: `--data.val_per_class 5`."
    cells = []
    for row in kept:
        figures = [f"{100 * row[key]:.1f} ± {100 * row[f'{key}_std']:.1f}" for key in SHOWN]
        settings = ["-" if row[key] is None else f"{row[key]:g}" for key in ("lr", "t_old")]
        cells.append([row["loss"], *settings, *figures])
    text = f"`{command}`, seeds {', '.join(map(str, seeds))}, {len(rows)} rows, on the split `{split}`. {NOTE}{choice}"
    return f"{text}\n\n{markdown_table(['head', 'learning rate', 't_old', *SHOWN.values()], cells)}"
