"""Your own images, in a table of paths and labels."""

from __future__ import annotations

import csv
import io
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
from ltr.errors import InputError
from ltr.markdown import first, plural

IMAGE = (
    *("image", "path", "file", "filename", "file_name", "filepath", "file_path", "fpath", "image_path", "image_id"),
    *("image_name", "imageid", "img", "id"),
)
LABEL = ("label", "class", "category", "target", "category_id", "class_name", "species", "label_name", "class_id")
SPLIT = ("split", "set", "subset", "fold")
NO_COLUMN = ("", "none")  # what `--data.split` says of a table without splits
PARQUET = (".parquet", ".pq")
TABLES = (".csv", ".tsv", *PARQUET)
MISSING = {"nan", "na", "n/a", "#n/a", "<na>", "null", "none", "-nan"}  # as pandas and R write a missing value
KEPT_SPLIT = re.compile(r"_split_[\d.]+_\d+$")  # the end of the name of a `split_file`
LARGEST = 2**24  # rows
UNPACKED = 2**30  # bytes of a Parquet file beyond which its compression has to be plausible
RATIO = 1000  # of such a file, unpacked to packed

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
    def split_file(self) -> Path:
        """Where a split that was drawn is kept: beside the table, of which there may be others."""
        return self.home / f"{self.name}_split_{self.test_share:g}_{self.subset_seed}.csv"

    def find(self) -> tuple[dict[str, FileList], list[str]]:
        """Read the table, or those of the splits."""
        root, tables = self.home, tables_of(self.home)
        self.home = root if root.is_dir() else root.parent
        self.name = readable_name(root.stem)
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
        columns = read_table(table, self.encoding)
        images = column(columns, self.columns["image"], IMAGE, option="image", table=table)
        if split not in ("", "train") and not self.columns["label"] and named(columns, LABEL) is None:
            warnings.warn(
                f"{table} has no labels and is not used: pass it to `ltr predict --images`.",
                stacklevel=2,
            )
            return []
        labels = [text(cell) for cell in column(columns, self.columns["label"], LABEL, option="label", table=table)]
        splits = [split] * len(images) if split else self.splits_of(columns, table)
        keep = [row for row in range(len(images)) if self.is_labelled(row, images, labels, table)]
        if not keep:
            raise InputError(f"{table} has no row with a label.")
        if any(isinstance(image, bytes) for image in images):
            names = [f"{splits[row]}/{row}" for row in range(len(images))]
            sources: list[Source] = [images[row] for row in keep]
        else:
            names = [text(image) for image in images]
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


def read_table(path: Path, encoding: str = "utf-8") -> dict[str, list[Any]]:
    """Return the columns of a CSV or Parquet file: text of a CSV file, any values of a Parquet file.

    Cells of images in a Parquet file are the bytes of the files.

    Args:
        path: the file. The cells of a line are separated by commas, semicolons or tabs.
        encoding: of a CSV file; one that begins with a byte order mark is read as that says.

    Raises:
        InputError: if it cannot be read, or has no rows.
    """
    if not path.is_file():
        raise InputError(f"there is no table {path}: name the CSV or Parquet file with `--data.root`.")
    columns = read_parquet(path) if path.suffix.lower() in PARQUET else read_csv(path, encoding)
    if not columns or not next(iter(columns.values())):
        raise InputError(f"{path} has no rows: a table has a line of titles and a row per image.")
    return columns


def read_csv(path: Path, encoding: str) -> dict[str, list[Any]]:
    """Return the columns of a CSV file."""
    try:
        content = path.read_bytes()
        marked = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        lines = content.decode("utf-16" if marked else "utf-8-sig" if encoding == "utf-8" else encoding)
        delimiter = max(",;\t", key=lines.lstrip().partition("\n")[0].count)
        reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter)
        rows = [[cell.strip() for cell in row] for row in reader if row]
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not in {encoding.upper()} ({error.reason} at byte {error.start}): save it as UTF-8, or pass "
            "its encoding, such as `--data.encoding cp1252` for a file from Windows."
        ) from error
    except LookupError as error:
        raise InputError(f"there is no encoding {encoding}: pass another `--data.encoding`, such as cp1252.") from error
    except (OSError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file that can be read ({error}): save it as one in UTF-8.") from error
    head, *body = rows or [[]]
    ragged = next((number for number, row in enumerate(body, 2) if len(row) != len(head)), None)
    if ragged:
        raise InputError(f"line {ragged} of {path} has other columns than its first line, {', '.join(head)}.")
    return {name: [row[at] for row in body] for at, name in enumerate(head)}


def read_parquet(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a Parquet file, of structures of images the bytes."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise InputError('a Parquet file needs pyarrow: pip install "ltr[hub]".') from error
    try:
        with parquet.ParquetFile(path) as file:
            summary = file.metadata
            unpacked = sum(summary.row_group(group).total_byte_size for group in range(summary.num_row_groups))
            if summary.num_rows > LARGEST or unpacked > max(UNPACKED, RATIO * path.stat().st_size):
                raise InputError(
                    f"{path} unpacks to {summary.num_rows:,} rows and {unpacked:,} bytes: divide it, or remove what is "
                    "not needed."
                )
            rows = file.read()
        columns = {name: rows[name].to_pylist() for name in rows.column_names}
    except (ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is damaged or no Parquet file: {reason}") from error
    return {
        name: [cell.get("bytes") or cell.get("path") if isinstance(cell, dict) else cell for cell in cells]
        for name, cells in columns.items()
    }


def text(cell: Any) -> str:
    """Return a cell as text: none for a missing value."""
    return "" if cell is None or cell != cell else readable_name(str(cell).strip())


def named(columns: dict[str, list[Any]], usual: Sequence[str]) -> str | None:
    """Return the first of the usual names that a column has, in upper or lower case."""
    known = {name.strip().lower(): name for name in reversed(columns)}
    return next((known[name] for name in usual if name in known), None)


def column(
    columns: dict[str, list[Any]], name: str | None, usual: Sequence[str], *, option: str, table: Path
) -> list[Any]:
    """Return a column, by its name or the first of its usual names.

    Raises:
        InputError: if there is none.
    """
    title = named(columns, usual) if name is None else name
    if title in columns:
        return columns[title]
    wanted = f"no column {name}" if name else f"none of the columns {', '.join(usual)}"
    unlabelled = " Images without labels are for `ltr predict --images`." if option == "label" else ""
    raise InputError(
        f"{table} has {wanted}, but {first([*columns])}: name one of these with `--data.{option}`.{unlabelled}"
    )
