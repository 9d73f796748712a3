"""Data sets of the Hugging Face Hub."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ltr.data.file_dataset import FileDataset
from ltr.data.file_list import SPLITS, FileList, class_order
from ltr.data.images import Source
from ltr.data.table_files import text
from ltr.errors import InputError


class HubLT(FileDataset):
    """A set of images of the Hugging Face Hub, or a folder of Parquet files as the Hub has them.

    The columns are found by their kinds: the first one of images, the first one of class labels. A set whose only
    splits are `train` and `validation` is tested on the latter. A fingerprint is one of the positions in a split.

    Args:
        root: the name on the Hub, such as `uoft-cs/cifar100`, or a folder.
        subset: the configuration of the set, if it has several.
        revision: the version, by its commit or name; null for the newest.
        image: column of the images.
        label: column of the labels.
        **others: the arguments of `FileDataset`.
    """

    def __init__(
        self,
        root: str = "data",
        *,
        subset: str | None = None,
        revision: str | None = None,
        image: str | None = None,
        label: str | None = None,
        **others: Any,
    ) -> None:
        self.subset, self.revision, self.image, self.label = subset, revision, image, label
        super().__init__(root, **others)

    @property
    def usual_split_file(self) -> None:
        """None: a split that is drawn depends on the version of the set and on the seed alone."""
        return None

    def find(self) -> tuple[dict[str, FileList], list[str]]:
        """Download what is not there yet, and list it."""
        try:
            import datasets
        except ImportError as error:
            raise InputError('HubLT needs the library `datasets`: pip install -e ".[hub]".') from error
        self.name = self.home.as_posix() if self.subset is None else f"{self.home.as_posix()}, {self.subset}"
        try:
            loaded = datasets.load_dataset(self.home.as_posix(), self.subset, revision=self.revision)
        except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{self.home.as_posix()} could not be loaded ({reason}): check `--data.root`.") from error
        splits = {SPLITS[name]: part for name, part in loaded.items() if name in SPLITS}
        if "train" not in splits:
            raise InputError(
                f"{self.name} has no training split, but {', '.join(loaded)}: name another set with `--data.root`, or "
                "another part of it with `--data.subset`."
            )
        image, label = self.column(splits["train"].features, "image"), self.column(splits["train"].features, "label")
        kind = splits["train"].features[label]
        named = isinstance(kind, datasets.ClassLabel)
        classes = list(kind.names) if named else class_order({*map(text, splits["train"].unique(label))} - {""})
        numbers = {str(number) if named else name: number for number, name in enumerate(classes)}
        listings = {}
        for split, part in splits.items():
            cells = [text(value) for value in part[label]]
            if split != "train" and numbers.keys().isdisjoint(cells):
                warnings.warn(f"the {split} split of {self.name} has no labels and is not used.", stacklevel=2)
                continue
            if (wrong := next((row for row, cell in enumerate(cells) if cell not in numbers), None)) is not None:
                what = f"the label {cells[wrong]}, which is not a class" if cells[wrong] else "no label"
                raise InputError(
                    f"row {wrong + 1} of the {split} split of {self.name} has {what}: remove such rows from the set."
                )
            labels = np.array([numbers[cell] for cell in cells])
            sources = Column(part.cast_column(image, datasets.Image(decode=False)), image)
            listings[split] = FileList(sources, labels, [f"{split}/{position}" for position in range(len(part))])
        return listings, classes

    def column(self, features: Any, what: Literal["image", "label"]) -> str:
        """Return the name of a column: the one asked for, or the first of its kind.

        Raises:
            InputError: if there is none.
        """
        import datasets

        asked, kind = {"image": (self.image, datasets.Image), "label": (self.label, datasets.ClassLabel)}[what]
        for name, feature in features.items():
            if name == asked or (asked is None and isinstance(feature, kind)):
                return str(name)
        missing = f"no column {asked}" if asked else f"no column of {what}s by its kind"
        raise InputError(
            f"{self.name} has {missing}, but {', '.join(features)}: name one of these with `--data.{what}`."
        )


class Column(Sequence[Source]):
    """The files of a column of images.

    Args:
        rows: the set, whose images are not decoded.
        name: of the column.
    """

    def __init__(self, rows: Any, name: str) -> None:
        self.rows, self.name = rows, name

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: Any) -> Any:
        """Return the bytes of a file, none if it is missing, or its path where they are not in the set."""
        cell = self.rows[int(position)][self.name] or {}
        return cell.get("bytes") or cell.get("path") or b""
