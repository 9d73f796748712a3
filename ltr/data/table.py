"""Your own images, in a table of paths and labels."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ltr.data.file_dataset import FileDataset
from ltr.data.file_list import SPLITS, FileList, class_order, readable_name, split_of
from ltr.data.images import Source
from ltr.data.locate import locate
from ltr.data.table_files import IMAGE, TABLES, EncodingError, column, named, read_table, text
from ltr.errors import InputError, advice
from ltr.sentences import first, plural

LABEL = ("label", "class", "category", "target", "category_id", "class_name", "species", "label_name", "class_id")
SPLIT = ("split", "set", "subset", "fold")
NO_COLUMN = ("", "none")  # what `--data.split` says of a table without splits
MISSING = {"nan", "na", "n/a", "#n/a", "<na>", "null", "none", "-nan"}  # as pandas and R write a missing value
KEPT_SPLIT = re.compile(r"_split_[\d.]+_\d+$")  # the end of the name of a `split_file`

Unlabelled = Literal["refuse", "skip", "keep"]


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        image: the name in the table.
        source: path or bytes of the image.
        label: name of the class.
        split: `train`, `val` or `test`.
    """

    image: str
    source: Source
    label: str
    split: str


class TableLT(FileDataset):
    """Images that a CSV or Parquet file lists, one row each.

    There may be a table per split instead, `train.csv`, `test.csv` and `val.csv` in one folder.

    One column has the paths, absolute or relative to the folder of the table, one the labels, and one, if there is one,
    the splits `train`, `val` or `test`. They are found by their usual names. A path may lack the ending of the file,
    and the images may be in a folder beside the table. A Parquet file may hold the images themselves. A label may be a
    name or a number; the classes come in the order of the numbers, or else of the names. A fingerprint is one of the
    paths.

    Args:
        root: the table, or the folder of the tables.
        image: column of the paths.
        label: column of the labels.
        split: column of the splits; `none` if there is none.
        images: folder that the paths are relative to, if it is not that of the table.
        encoding: of a CSV file.
        unlabelled: `refuse` rows without a label, or with one such as `NaN` or `none` that may stand for a missing one;
            `skip` them; or `keep` such labels as names of classes.
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
        encoding: str = "utf-8",
        unlabelled: Unlabelled = "refuse",
        **others: Any,
    ) -> None:
        self.columns, self.images = {"image": image, "label": label, "split": split}, images
        self.encoding, self.unlabelled = encoding, unlabelled
        super().__init__(root, **others)

    @property
    def usual_split_file(self) -> Path:
        """Where a split that was drawn is kept if no file is named: beside the table, of which there may be others."""
        return self.home / f"{self.name}_split_{self.test_share:g}_{self.subset_seed}.csv"

    def find(self) -> tuple[dict[str, FileList], list[str]]:
        """Read the table, or those of the splits."""
        root, tables = self.home, tables_of(self.home)
        self.home = root if root.is_dir() else root.parent
        self.name = readable_name(Path(os.path.abspath(root)).stem)
        rows: dict[tuple[str, str], Row] = {}
        repeated: list[str] = []
        for split, table in tables.items():
            for row in self.rows(table, split):
                key = os.path.normpath(row.source) if isinstance(row.source, str) else row.image
                same = rows.setdefault((row.split, key), row)
                if same.label != row.label:
                    raise InputError(
                        f"{table} lists {row.image} as {same.label} and as {row.label}: keep one of these rows."
                    )
                if same is not row:
                    repeated.append(row.image)
        if repeated:
            warnings.warn(
                f"{plural(len(repeated), 'row')} of {root} left out, which repeat an image: {first(repeated)}.",
                stacklevel=2,
            )
        classes = class_order({row.label for row in rows.values()})
        if len(classes) < 2:
            raise InputError(f"all rows of {root} have the label {classes[0]}: a set has at least two classes.")
        numbers = {name: number for number, name in enumerate(classes)}
        splits = {}
        for split in dict.fromkeys(row.split for row in rows.values()):
            part = [row for row in rows.values() if row.split == split]
            labels = np.array([numbers[row.label] for row in part])
            splits[split] = FileList([row.source for row in part], labels, [row.image for row in part])
        return splits, classes

    def rows(self, table: Path, split: str) -> list[Row]:
        """Return the rows of a table; none of the table of another split than `train` that has no labels.

        Args:
            table: the file.
            split: of all its rows; empty if a column may have it.

        Raises:
            InputError: if a row is not complete, or of another split, or an image is missing.
        """
        with advice("`--data.encoding cp1252` reads a file from Windows.", on=EncodingError):
            columns = read_table(table, self.encoding)
        cells = column(columns, self.columns["image"], IMAGE, option="image", table=table)
        images: list[Any] = [cell if isinstance(cell, bytes) else text(cell) for cell in cells]
        if split not in ("", "train") and not self.columns["label"] and named(columns, LABEL) is None:
            if not (
                self.split_file and self.split_file.is_file()
            ):  # else a training has said so, and has drawn a split instead
                warnings.warn(
                    f"{table} has no labels and is not used: pass it to `ltr predict --images`.", stacklevel=2
                )
            return []
        labels = [text(cell) for cell in column(columns, self.columns["label"], LABEL, option="label", table=table)]
        splits = [split] * len(images) if split else self.splits_of(columns, table)
        keep = [row for row in range(len(images)) if self.is_labelled(row, images, labels, table)]
        if not keep:
            raise InputError(f"{table} has no row with a label: pass it to `ltr predict --images`.")
        if any(isinstance(image, bytes) for image in images):
            names = [f"{splits[row]}/{row}" for row in range(len(images))]
            sources: list[Source] = [images[row] for row in keep]
        else:
            names = images
            folder = Path(self.images).expanduser() if self.images else self.home
            sources = [*locate([os.path.expanduser(names[row]) for row in keep], folder, table, split=split)]
        return [Row(names[row], source, labels[row], splits[row]) for row, source in zip(keep, sources, strict=True)]

    def splits_of(self, columns: dict[str, list[Any]], table: Path) -> list[str]:
        """Return the split of every row of a table that is not named for one.

        Raises:
            InputError: if a column has other values.
        """
        asked = self.columns["split"]
        rows = len(next(iter(columns.values())))
        if asked in NO_COLUMN or (asked is None and named(columns, SPLIT) is None):
            return ["train"] * rows
        words = [text(cell) for cell in column(columns, asked, SPLIT, option="split", table=table)]
        unknown = next((word for word in words if word.lower() not in SPLITS), None)
        if unknown is not None:
            name = asked or named(columns, SPLIT)
            raise InputError(
                f"the column {name} of {table} has {unknown!r}, and a split is called train, val or test: name another "
                "column with `--data.split`, or pass `--data.split none` to hold out test images."
            )
        return [SPLITS[word.lower()] for word in words]

    def is_labelled(self, row: int, images: Sequence[Any], labels: Sequence[str], table: Path) -> bool:
        """Return whether a row is complete, or raise `InputError` if that is not to be skipped."""
        label = labels[row]
        if label and images[row] and (label.lower() not in MISSING or self.unlabelled == "keep"):
            return True
        if self.unlabelled == "skip":
            return False
        if label and images[row]:
            raise InputError(
                f"row {row + 1} of {table} has the label {label}, which often stands for a missing one: pass "
                "`--data.unlabelled skip` to leave out such rows, or `--data.unlabelled keep` if it is a class."
            )
        raise InputError(
            f"row {row + 1} of {table} lacks its image or its label: complete it, or pass `--data.unlabelled skip`."
        )


def tables_of(root: Path) -> dict[str, Path]:
    """Return the tables of a set by their splits, or the only one under an empty name.

    Raises:
        InputError: if it cannot be told which they are.
    """
    if not root.is_dir():
        return {"": root}
    paths = [
        path for path in sorted(root.iterdir()) if path.suffix.lower() in TABLES and not KEPT_SPLIT.search(path.stem)
    ]
    tables: dict[str, Path] = {}
    for path in paths:
        if split := split_of(path.stem):
            if split in tables:
                raise InputError(f"{root} has {tables[split].name} and {path.name} for one split: keep one of them.")
            tables[split] = path
    if tables:
        return {split: tables[split] for split in ("train", "val", "test") if split in tables}
    if len(paths) == 1:
        return {"": paths[0]}
    names = f" but {first([path.name for path in paths])}" if paths else ""
    raise InputError(f"{root} has no `train.csv`{',' if names else ''}{names}: name a table with `--data.root`.")
