"""Your own images, in a table of paths and labels."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ltr.data.file_dataset import FileDataset
from ltr.data.file_list import FileList, present
from ltr.errors import InputError

IMAGE = ("image", "path", "file", "filename", "file_name", "filepath", "fpath", "image_path", "image_id")
LABEL = ("label", "class", "category", "target", "category_id", "class_name", "species")
SPLIT = ("split", "set", "subset", "fold")
TABLES = (".csv", ".tsv", ".parquet", ".pq")
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
SPLITS |= {"test": "test", "testing": "test"}


class TableLT(FileDataset):
    """Images that a CSV or Parquet file lists, one row each.

    There may be a table per split instead, `train.csv`, `test.csv` and `val.csv` in one folder.

    Of the columns one has the paths, absolute or relative to the folder of the table, one the labels, and one, where
    there is one, says `train`, `val` or `test`. They are found by their usual names. A label may be a name or a number;
    the classes come in the order of the numbers, or else of the names. A fingerprint is one of the paths.

    Args:
        root: the table, or the folder of the tables.
        image: column of the paths.
        label: column of the labels.
        split: column of the splits.
        images: folder that the paths are relative to, where it is not that of the table.
        **others: the arguments of `FileDataset`.
    """

    def __init__(
        self,
        root: str = "data",
        *,
        image: str | None = None,
        label: str | None = None,
        split: str | None = None,
        images: str | None = None,
        **others: Any,
    ) -> None:
        self.columns, self.images = {"image": image, "label": label, "split": split}, images
        super().__init__(root, **others)

    @property
    def split_file(self) -> Path:
        """Where a split that was drawn is kept: beside the table, of which there may be others."""
        return self.home / f"{self.name}_split_{self.test_share:g}_{self.subset_seed}.csv"

    def find(self) -> tuple[dict[str, FileList], list[str]]:
        """Read the table, or those of the splits."""
        place = self.home
        if place.is_dir():
            tables = {SPLITS[path.stem]: path for path in sorted(place.iterdir()) if is_split(path)}
            if "train" not in tables:
                raise InputError(f"{place} has no `train.csv`: name a table, or a folder with one per split.")
        else:
            tables, self.home = {"": place}, place.parent
        self.name = place.stem
        rows = [row for split, table in tables.items() for row in self.rows(table, split)]
        paths, labels, splits = (list(part) for part in zip(*rows, strict=True))
        classes = ordered(set(labels))
        if len(classes) < 2:
            raise InputError(f"all rows of {place} have the label {classes[0]}: a set has at least two classes.")
        folder = Path(self.images) if self.images else self.home
        numbers = {name: number for number, name in enumerate(classes)}
        sources = [str(folder / path) for path in paths]
        present(sources, place)
        whole = FileList(sources, np.array([numbers[label] for label in labels]), paths)
        return {name: whole.take(np.flatnonzero(np.array(splits) == name)) for name in dict.fromkeys(splits)}, classes

    def rows(self, table: Path, split: str) -> list[tuple[str, str, str]]:
        """Return path, label and split of every row of a table.

        Args:
            table: the file.
            split: of all its rows; nothing where a column may say it.

        Raises:
            InputError: if a row is not complete, or of another split.
        """
        found = read_table(table)
        paths = column(found, self.columns["image"], IMAGE, option="image", table=table)
        labels = column(found, self.columns["label"], LABEL, option="label", table=table)
        empty = next((row for row, pair in enumerate(zip(paths, labels, strict=True), 1) if not all(pair)), None)
        if empty:
            raise InputError(f"row {empty} of {table} lacks its image or its label: complete it, or remove it.")
        said = [split or "train"] * len(paths)
        if not split and (self.columns["split"] or any(name in found for name in SPLIT)):
            said = column(found, self.columns["split"], SPLIT, option="split", table=table)
        strange = next((word for word in said if word.lower() not in SPLITS), None)
        if strange is not None:
            raise InputError(f"{table} has a split named {strange!r}: it says train, val or test of every row.")
        return list(zip(paths, labels, (SPLITS[word.lower()] for word in said), strict=True))


def is_split(path: Path) -> bool:
    """Return whether a file is the table of a split, by its name."""
    return path.stem in SPLITS and path.suffix.lower() in TABLES


def read_table(path: Path) -> dict[str, list[str]]:
    """Return the columns of a CSV or Parquet file as text.

    Raises:
        InputError: if it cannot be read, or has no rows.
    """
    if not path.is_file():
        raise InputError(f"there is no table {path}: name the CSV or Parquet file with `--data.root`.")
    if path.suffix.lower() in TABLES[2:]:
        try:
            from pyarrow import ArrowInvalid, parquet
        except ImportError as error:
            raise InputError('a Parquet file needs pyarrow: pip install "ltr[hub]".') from error
        try:
            rows = parquet.read_table(path)
        except ArrowInvalid as error:
            raise InputError(f"{path} is damaged or no Parquet file: {error}") from error
        found = {
            name: ["" if one is None else str(one) for one in rows[name].to_pylist()] for name in rows.column_names
        }
    else:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                lines = list(csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path} is no CSV file in UTF-8 ({error}): save it as one.") from error
        head, *body = [line for line in lines if line] or [[]]
        ragged = next((number for number, line in enumerate(body, 2) if len(line) != len(head)), None)
        if ragged:
            raise InputError(f"line {ragged} of {path} has other columns than its first line, {', '.join(head)}.")
        found = {name: [line[at] for line in body] for at, name in enumerate(head)}
    if not found or not next(iter(found.values())):
        raise InputError(f"{path} has no rows: a table has a line of titles and a row per image.")
    return found


def column(
    rows: dict[str, list[str]], name: str | None, usual: Sequence[str], *, option: str, table: Path
) -> list[str]:
    """Return a column, by its name or the first of its usual names.

    Raises:
        InputError: if it is not there.
    """
    for candidate in [name] if name else usual:
        if candidate in rows:
            return rows[candidate]
    wanted = f"no column {name}" if name else f"none of the columns {', '.join(usual)}"
    raise InputError(f"{table} has {wanted}, but {', '.join(rows)}: name one of these with `--data.{option}`.")


def ordered(names: set[str]) -> list[str]:
    """Return names in the order of the numbers that they are, or else alphabetically."""
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)
