"""Many tunings of one network at once, over seeds, and what none of them beats."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ltr import files, plots
from ltr.errors import InputError
from ltr.markdown import escape, markdown_table
from ltr.measures import shown
from ltr.metrics import over_seeds, undominated
from ltr.run import torch_files
from ltr.run.evaluation import read_arguments, write_arguments
from ltr.run.folder import GRID, RIGHT, RunFolder
from ltr.studies.runs import Perform

NOTE = "In percent, mean ± standard deviation over seeds. These are the heads that no other one beats in both columns."


def tune_grid(
    *,
    config: str = "tune_grid.yaml",
    seeds: list[int] | None = None,
    separate: bool = False,
    runs: str = "checkpoints",
    name: str = "tune_grid",
    common: Sequence[str] = (),
    perform: Perform,
    command: str = "ltr tune-grid",
) -> None:
    """Tune a head for every seed, loss and learning rate of a config, all at once.

    The features are computed once. A picture shows what the heads give up in the mean for the worst classes. The
    seeds of an earlier call are kept. Options that are not listed here go to the tuning, such as
    `--model.backbone.checkpoint RUN` or `--data.val_per_class 5`.

    Args:
        config: a tuning whose last callback is a HeadGrid.
        seeds: of the heads, all in one pass; 0, 1 and 2 where none are given.
        separate: a pass for each seed, as heads that start anew need it.
        runs: folder in which the folder of the grid is kept.
        name: the folder of the grid.
        common: arguments for every tuning.
        perform: runs a verb with its arguments, raising `InputError` where they cannot be used.
        command: how this was called, for the table.

    Raises:
        InputError: if a tuning cannot be run, or results of other arguments are in the way.
    """
    seeds = [0, 1, 2] if seeds is None else seeds
    folder = RunFolder.of(runs, name).path
    heads = tables(folder, seeds, ["--config", config, *common], perform, separate=separate)
    rows = over_seeds(row for table in heads for row in table)
    files.write_csv(folder / "front.csv", rows)
    split = rows[0]["split"]
    chosen = [row for row in rows if row["split"] == split]
    plots.save(plots.front(chosen), folder / "front.png")
    text = markdown(chosen, split=split, command=command, seeds=seeds)
    files.write_text(folder / "front.md", text)
    print(text, end="")
    print(f"\nall heads: {folder / 'front.csv'}\npicture: {folder / 'front.png'}")


def tables(
    folder: Path, seeds: Sequence[int], words: Sequence[str], perform: Perform, *, separate: bool = False
) -> list[list[dict[str, Any]]]:
    """Return the rows of each seed; those that are not there yet are computed, and kept in a folder for each seed.

    Args:
        folder: that of the grid.
        seeds: of the heads.
        words: arguments of the tuning; the first two name its config.
        perform: runs a verb with its arguments, raising `InputError` where they cannot be used.
        separate: a pass for each seed.

    Raises:
        InputError: if the tuning cannot be run, or results of other arguments are in the way.
    """
    homes = {seed: folder / str(seed) / GRID for seed in seeds}
    missing = [seed for seed, home in homes.items() if not home.is_file()]
    for seed in sorted(homes.keys() - missing):
        kept = read_arguments(homes[seed].parent) or {"fit": [*words]}
        if kept["fit"] != [*words]:
            raise InputError(
                f"{homes[seed]} was made with other arguments: delete {folder}, or choose another `--name`."
            )
        if GRID in kept and kept[GRID] != files.digest(homes[seed].read_bytes().decode(errors="replace")):
            raise InputError(f"{homes[seed]} is damaged: delete it, and the same command computes it again.")
    for some in [[seed] for seed in missing] if separate else [missing] if missing else []:
        with RunFolder(folder / "run").lock.hold():  # another command of the same name would replace the tables
            heads = _pass(folder / "run", some, words, perform)
            right = torch_files.read(folder / "run" / RIGHT)
        first = [row for row in heads if row["split"] == heads[0]["split"]]
        with files.together():  # the seeds that were left over after an interruption would be another pass
            for seed in some:
                text = files.csv_text([row for row in heads if row["seed"] == str(seed)])
                write_arguments(homes[seed].parent, {"fit": [*words], GRID: files.digest(text)})
                own = [row["seed"] == str(seed) for row in first]
                files.save(homes[seed].with_name(RIGHT), {**right, "right": right["right"][own]})
                files.write_text(homes[seed], text)
    return [[_read(row) for row in _rows(home)] for home in homes.values()]


def _pass(run: Path, seeds: list[int], words: Sequence[str], perform: Perform) -> list[dict[str, str]]:
    """Tune the heads of some seeds together and return their rows."""
    table = run / GRID
    table.unlink(missing_ok=True)  # of another pass, which must not be taken for this one's
    config, others = words[:2], words[2:]
    ours = ["--seed_everything", str(seeds[0]), f"--trainer.callbacks.seeds={seeds}"]
    try:
        perform(
            "fit", [*config, *ours, *others, "--runs", str(run.parent), "--name", run.name, "--overwrite"], tell=False
        )
    except InputError as error:
        if "option" not in str(error) or "seeds" not in str(error):
            raise
        raise InputError(
            f"{config[1]} trains no grid: its last callback has to be a HeadGrid, as that of tune_grid.yaml is."
        ) from error
    if not table.is_file():
        raise InputError("no head was trained: a grid takes an epoch at least, and no `--trainer.fast_dev_run`.")
    return _rows(table)


def _rows(table: Path) -> list[dict[str, str]]:
    """Return the rows of a table as they are written."""
    with table.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _read(row: Mapping[str, str]) -> dict[str, Any]:
    """Turn the cells of a row into what they mean; an empty one is None."""
    words = ("split", "loss")
    return {key: value if key in words else float(value) if value else None for key, value in row.items()}


def markdown(rows: Sequence[Mapping[str, Any]], *, split: str, command: str, seeds: Sequence[int]) -> str:
    """Return the old head and the heads that none beats, in top-1 and harmonic mean or in top-1 and lowest recall."""
    edge = [row for measure in shown("front") for row in undominated(rows, measure.key)]
    kept = [row for row in rows if row["loss"] == "old head" or row in edge]
    kept.sort(key=lambda row: -row["top1"])
    choice = "" if split == "val" else " To choose one, carve out a validation split: `--data.val_per_class 5`."
    measures = shown("summary")
    cells = []
    for row in kept:
        figures = [f"{one.scale * row[one.key]:.1f} ± {one.scale * row[f'{one.key}_std']:.1f}" for one in measures]
        settings = ["-" if row[key] is None else f"{row[key]:g}" for key in ("lr", "t_old")]
        cells.append([escape(row["loss"]), *settings, *figures])
    text = f"`{command}`, seeds {', '.join(map(str, seeds))}, {len(rows)} rows, on the split `{split}`. {NOTE}{choice}"
    titles = [measure.title for measure in measures]
    return f"{text}\n\n{markdown_table(['head', 'learning rate', 't_old', *titles], cells)}"
