"""CSV and Parquet files as columns, which are found by their usual names."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ltr import files
from ltr.data.file_list import readable_name
from ltr.errors import InputError
from ltr.sentences import first

PARQUET = (".parquet", ".pq")
TABLES = (".csv", ".tsv", *PARQUET)
IMAGE = (  # the usual names of the column of the images
    *("image", "path", "file", "filename", "file_name", "filepath", "file_path", "fpath", "image_path", "image_id"),
    *("image_name", "imageid", "img", "id"),
)
LARGEST = 2**24  # rows
UNPACKED = 2**30  # bytes of a Parquet file beyond which its compression has to be plausible
RATIO = 100  # of such a file, unpacked to packed
BATCH, ROWS = 2**28, 2**16  # bytes and rows of a Parquet file that are read at once
SMALLER = "divide it, or remove what is not needed."


class EncodingError(InputError):
    """A CSV file is in another encoding, or there is none of the name."""


def read_table(path: Path, encoding: str = "utf-8") -> dict[str, list[Any]]:
    """Return the columns of a CSV or Parquet file: text of a CSV file, any values of a Parquet file.

    Cells of images in a Parquet file are the bytes of the files.

    Args:
        path: the file. The cells of a line are separated by commas, semicolons or tabs.
        encoding: of a CSV file; one that begins with a byte order mark is read as that says.

    Raises:
        InputError: if it cannot be read, or has no rows.
    """
    if not os.path.isfile(path):  # `path.is_file()` raises an error if a name is too long
        raise InputError(f"there is no table {path}: name a CSV or Parquet file.")
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
        rows = [(reader.line_num, [files.without_apostrophe(cell.strip()) for cell in row]) for row in reader if row]
    except UnicodeDecodeError as error:
        raise EncodingError(
            f"{path} is not in {encoding.upper()} ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from error
    except LookupError as error:
        raise EncodingError(f"there is no encoding {encoding}.") from error
    except (OSError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file that can be read ({error}): save it as one in UTF-8.") from error
    (_, head), *body = rows or [(0, [])]
    ragged = next((line for line, row in body if len(row) != len(head)), None)
    if ragged:
        raise InputError(
            f"line {ragged} of {path} has more or fewer cells than its first line, {', '.join(head)}: correct it."
        )
    check_titles(head, path)
    return {name: [row[at] for _, row in body] for at, name in enumerate(head)}


def read_parquet(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a Parquet file, of structures of images the bytes.

    A value that many rows share is stored once, so a small file can stand for any amount of memory. It is read in
    batches so small that none is large whatever its rows share, until the whole would be too large. Columns of lists,
    a row of which may have any number of values, are left out.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise InputError('a Parquet file needs pyarrow: pip install -e ".[hub]".') from error
    try:
        with parquet.ParquetFile(path) as file:
            # What pyarrow says of single columns ends the process if the file is damaged, so only groups are asked.
            summary, fields = file.metadata, [*file.schema_arrow]
            check_titles([field.name for field in fields], path)
            groups = [summary.row_group(group) for group in range(summary.num_row_groups)]
            sizes = [group.total_byte_size for group in groups]
            unpacked, left = sum(sizes), max(UNPACKED, RATIO * path.stat().st_size)
            if summary.num_rows > LARGEST or unpacked > left:
                raise InputError(f"{path} unpacks to {summary.num_rows:,} rows and {unpacked:,} bytes: {SMALLER}")
            columns: dict[str, list[Any]] = {field.name: [] for field in fields if single(field.type)}
            for name, cells in columns.items():
                rows = BATCH // max([*sizes, 1])  # as if a single value were the whole of its group
                for batch in file.iter_batches(min(max(rows, 1), ROWS), columns=[name]):
                    left -= batch.nbytes
                    if left < 0:
                        raise InputError(f"the columns of {path} unpack to more than a gigabyte: {SMALLER}")
                    cells += batch.column(0).to_pylist()
                if len(cells) != summary.num_rows:
                    raise InputError(f"{path} is damaged: its columns differ in length.")
    except (ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is damaged or not a Parquet file: {reason}") from error
    return {
        name: [cell.get("bytes") or cell.get("path") if isinstance(cell, dict) else cell for cell in cells]
        for name, cells in columns.items()
    }


def single(kind: Any) -> bool:
    """Return whether a row has one value of a type of pyarrow, or one for each field of a structure."""
    from pyarrow import types

    if types.is_struct(kind):
        return all(single(field.type) for field in kind)
    return not types.is_nested(kind)


def check_titles(titles: Sequence[str], path: Path) -> None:
    """Raise `InputError` if two columns of a table have one title."""
    if repeated := next((title for title, count in Counter(titles).items() if title and count > 1), None):
        raise InputError(f"{path} has two columns {repeated}: rename or remove one.")


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
