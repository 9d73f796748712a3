"""The verb that writes a set in another layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ltr.cli.dataset import dataset_parser, read_dataset

DESCRIPTION = """Write the splits of a data set, long-tailed as the arguments make it, in another layout: class folders,
which FolderLT and most other code read, a table for TableLT, or the annotations of Bag of Tricks for AnnotatedLT."""


def convert(arguments: Sequence[str]) -> None:
    """Write a set in another layout.

    Args:
        arguments: what follows the verb.

    Raises:
        InputError: where the set cannot be read, or the files cannot be written.
    """
    from ltr.data.convert import Layout
    from ltr.data.convert import convert as written

    parser = dataset_parser("convert", DESCRIPTION)
    parser.add_argument("--to", type=Layout, default="folders", help="The layout.")
    parser.add_argument("--output", type=str, required=True, help="The folder to write to.")
    data, values = read_dataset(parser, arguments)
    for path in written(data, Path(values.output), values.to):
        print(path)
    sizes = ", ".join(f"{len(split.labels)} {name}" for name, split in data.splits.items())
    print(f"{sizes} images of {len(data.classes)} classes")
