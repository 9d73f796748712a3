"""Tables of images and labels, CSV and Parquet: complete ones, ones with a fault, and ones that are hardly tables."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
from answering import answer, empty_folder
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from ltr.data import TableLT
from ltr.predictor.images import Images

FILES = [f"{number}.png" for number in range(12)]
LABELS = ["cat", "dog", "0", "1", "2.0", "-1", "é", "cat ", "=1+1", "<b>", "a,b", 'say "x"', "x" * 300, "\u202ex", "10"]
SPLITS = ["train", "train", "train", "test", "val"]
FAULTS = [
    "no label",
    "missing label",
    "no image",
    "no file",
    "no split",
    "other label",
    "both splits",
    "one class",
    "ragged",
]
CELLS: list[Any] = [
    *(
        None,
        float("nan"),
        float("inf"),
        0,
        -1,
        2**62,
        1.5,
        True,
        "",
        " ",
        "nan",
        "NA",
        "none",
        "\x00",
        "9" * 5000,
        "1.0",
        "01",
    ),
    *("../1.png", "/dev/zero", "~", "C:\\1.png", "1", "1.PNG", "*", "a\nb", "\u0301", b"", b"\xff\xfe", b"\x89PNG"),
]
PIECES = [
    "\x00",
    '"',
    ",",
    ";",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\ufeff",
    "é",
    " ",
    "#",
    "'",
    "\x1a",
    "\\",
    "label,",
    "x" * 200_000,
]
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32"]


class Table(NamedTuple):
    """A table.

    Attributes:
        name: of its file.
        content: its bytes.
        rows: the rows of a complete table, (image, label, split); None for any other.
        fault: what is wrong with it; empty if only the reader can tell.
    """

    name: str
    content: bytes
    rows: list[tuple[str, str, str]] | None = None
    fault: str = ""


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw a table."""
    labels = draw(st.lists(st.sampled_from(LABELS), min_size=2, max_size=4, unique_by=lambda label: label.strip()))
    marks = [*((label, "train") for label in labels), (labels[0], "test")]  # with which a table is complete
    marks += draw(
        st.lists(st.tuples(st.sampled_from(labels), st.sampled_from(SPLITS)), max_size=len(FILES) - len(marks))
    )
    rows = [(name, label, split) for name, (label, split) in zip(FILES, marks, strict=False)]
    count = len(rows)
    head = ["image", "label", "split"]
    kind = draw(st.sampled_from(["complete", "fault", "fault", "text", "text", "cells", "cells", "bytes"]))
    if kind == "bytes":
        content = draw(st.binary(max_size=64) | st.sampled_from([b"PAR1", b"PAR1" * 9, b"PAR1" + bytes(20) + b"PAR1"]))
        return Table(draw(st.sampled_from(["t.csv", "t.tsv", "t.parquet"])), content)
    fault = draw(st.sampled_from(FAULTS)) if kind == "fault" else ""
    cells: list[list[Any]] = [[*row] for row in rows]
    at = draw(st.integers(0, count - 1))
    if fault == "no label":
        head[1] = "other"
    elif fault == "missing label":
        cells[at][1] = draw(st.sampled_from(["", " ", "NaN", "null"]))
    elif fault == "no image":
        cells[at][0] = ""
    elif fault == "no file":
        cells[at][0] = draw(st.sampled_from(["no.png", "../no.png", "\x00.png", "x" * 300]))
    elif fault == "no split":
        cells[at][2] = draw(st.sampled_from(["", "fold 1", "7", "train/test"]))
    elif fault == "other label":
        cells.append([cells[at][0], next(label for label in labels if label != cells[at][1]), cells[at][2]])
    elif fault == "both splits":
        cells.append([cells[at][0], cells[at][1], "test" if cells[at][2] != "test" else "train"])
    elif fault == "one class":
        cells = [[image, labels[0], split] for image, _, split in cells]
    elif fault == "ragged":
        cells[at] = cells[at][: draw(st.integers(0, 2))] if draw(st.booleans()) else [*cells[at], "more"]
        fault = fault if cells[at] else ""  # an empty line is none
    elif kind == "cells":
        for _ in range(draw(st.integers(1, 4))):
            cells[draw(st.integers(0, count - 1))][draw(st.integers(0, 2))] = draw(
                st.sampled_from(CELLS) | st.text(max_size=5)
            )
    whole = kind == "complete"
    if draw(st.booleans()) and {len(row) for row in cells} == {len(head)}:
        return Table("t.parquet", as_parquet(head, cells), rows if whole else None, fault)
    if draw(st.integers(0, 9)) == 0 and kind == "fault":
        head[2], fault = draw(st.sampled_from(head[:2])), "two columns of a name"
    text = io.StringIO()
    csv.writer(text, delimiter=draw(st.sampled_from(",;\t"))).writerows([head, *cells])
    content = text.getvalue()
    if kind == "text":
        for _ in range(draw(st.integers(1, 3))):
            begin = draw(st.integers(0, len(content)))
            content = (
                content[:begin] + draw(st.sampled_from(PIECES)) + content[begin + draw(st.sampled_from([0, 0, 1, 9])) :]
            )
        return Table("t.csv", content.encode(draw(st.sampled_from(ENCODINGS)), "replace"))
    return Table("t.csv", content.encode("utf-8", "replace"), rows if whole else None, fault)


def as_parquet(head: list[str], cells: list[list[Any]]) -> bytes:
    """Return a Parquet file; columns that pyarrow cannot hold as they are become text."""
    columns: dict[str, pyarrow.Array] = {}
    for number, name in enumerate(head):
        column = [row[number] for row in cells]
        try:
            columns[name] = pyarrow.array(column)
        except (pyarrow.ArrowException, OverflowError):
            columns[name] = pyarrow.array([None if cell is None else str(cell) for cell in column])
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


@st.composite
def damaged_tables(draw: st.DrawFn) -> Table:
    """Draw a Parquet file with changed or missing bytes."""
    content = bytearray(
        as_parquet(["image", "label", "split"], [[name, "ab"[n % 2], "train"] for n, name in enumerate(FILES)])
    )
    for _ in range(draw(st.integers(1, 3))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return Table("t.parquet", bytes(content[: draw(st.just(len(content)) | st.integers(0, len(content)))]))


def check_table(table: Table) -> str:
    """List the images of a table as a data set, and as new images. What is listed is what its rows say."""
    found: list[TableLT] = []

    def read() -> None:
        data = TableLT("t" + os.path.splitext(table.name)[1], size=4)
        data.setup("fit")
        found.append(data)

    with empty_folder() as folder:
        for number, name in enumerate(FILES):
            Image.new("RGB", (2, 2), (20 * number, 0, 0)).save(folder / name)
        Path(table.name).write_bytes(table.content)
        sentence = answer(read)
        answer(lambda: Images.of(table.name))
        for data in found:
            assert not table.fault, f"a table with a fault is used: {table.fault}"
            listings = data.listings.values()
            used = [source for listing in listings for source in listing.sources]
            assert all(isinstance(source, bytes) or Path(source).is_file() for source in used)
            assert min(data.counts) > 0
            assert len(data.classes) == len(data.counts) > 1
            if table.rows is not None:
                named = Counter(data.classes[label] for listing in listings for label in listing.labels)
                assert named == Counter(label.strip() for _, label, _ in table.rows)
    assert table.rows is None or not sentence, f"a complete table is refused: {sentence}"
    return sentence
