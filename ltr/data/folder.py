"""Your own images, in folders of classes."""

from __future__ import annotations

import os
import shlex
import warnings
from pathlib import Path

from ltr.data.file_dataset import FEW_SHOT, FileDataset
from ltr.data.file_list import FileList, class_folders, class_order, hidden, is_image, listed, readable_name, split_of
from ltr.data.table_files import TABLES
from ltr.errors import InputError
from ltr.sentences import first


class FolderLT(FileDataset):
    """Images in one folder per class.

    `root` holds `train/<class>/` and `test/<class>/`, and `val/<class>/` if there is one; or `train/` and `val/`, which
    is then for testing; or `<class>/` alone, of which a part of every class is held out for testing; or `test/<class>/`
    alone, for an evaluation. Other usual names of the splits are known: `Training`, `valid`, `test_images`. Classes
    come in the order of the numbers that they are, or else of their names, files in that of their names. A fingerprint
    is one of the names of the files.

    The arguments are those of `FileDataset`.
    """

    def find(self) -> tuple[dict[str, FileList], list[str]]:
        """List the images of the folders."""
        if not self.home.is_dir():
            raise InputError(f"there is no folder {self.home}: name that of your images with `--data.root`.")
        self.name = readable_name(self.home.resolve().name)
        parts = split_folders(self.home)
        images = {name: class_folders(part) for name, part in parts.items()}
        unlabelled = [name for name in images if name != "train" and not images[name]]
        named = images.values() if "train" not in images else [images["train"]]
        classes = class_order({name for part in named for name in part})
        if len(classes) < 2:
            raise InputError(self.too_few(parts.get("train", self.home), classes))
        for name in unlabelled:
            del images[name]
            warnings.warn(
                f"{parts[name]} has no folders of classes, so its images have no labels and are not used: pass them to "
                "`ltr predict --images`.",
                stacklevel=2,
            )
        for name, part in images.items():
            unknown = [label for label in part if label not in classes]
            if len(unknown) == len(part):
                raise InputError(FEW_SHOT.format(self.home))
            if unknown:
                raise InputError(
                    f"{parts[name]} has the class {unknown[0]}, which {parts['train']} does not have: add training "
                    "images of it, or remove it."
                )
        return {name: listed(part, classes, self.home) for name, part in images.items()}, classes

    def too_few(self, folder: Path, classes: list[str]) -> str:
        """Return the sentence for a folder without two classes, with the table that may have the labels."""
        tables = [path for path in sorted(self.home.iterdir()) if path.suffix.lower() in TABLES]
        training = [path for path in tables if split_of(path.stem) == "train"]
        if tables:
            root = self.home if training or len(tables) > 1 else tables[0]
            name = (training or tables)[0].name
            advice = f"if {name} has the labels, pass `--data TableLT --data.root {shlex.quote(str(root))}`"
        else:
            advice = "put the images of each class into its own folder, or name a table with their labels"
        return f"{folder} holds {len(classes)} folders of classes, and a data set needs at least two: {advice}."

    def unused_files(self) -> list[str]:
        """Return the files of the folder that are not images of a class, readable or not.

        Hidden ones and the kept split are left out.
        """
        listings = [*self.listings.values(), *([self.synthetic_files] if self.synthetic_files else [])]
        used = {str(self.split_file)}.union(*(map(str, listing.sources) for listing in listings))
        unused = []
        for parent, folders, names in os.walk(self.home):
            folders[:] = [name for name in folders if not hidden(name)]
            unused += [path for name in names if name[0] != "." and (path := str(Path(parent, name))) not in used]
        found = {readable_name(Path(path).relative_to(self.home).as_posix()) for path in unused}
        return sorted(found.difference(self.skipped))


def split_folders(home: Path) -> dict[str, Path]:
    """Return the folders of the splits `train`, `val` and `test`, or the whole as `train` if there are none.

    Raises:
        InputError: if it cannot be told what is a split and what a class.
    """
    folders = [path for path in sorted(home.iterdir()) if path.is_dir() and not hidden(path.name)]
    parts: dict[str, Path] = {}
    for path in folders:
        if (split := split_of(path.name)) is None:
            continue
        if split in parts:
            raise InputError(f"{home} has `{parts[split].name}/` and `{path.name}/` for one split: keep one of them.")
        parts[split] = path
    if "train" in parts and len(parts) == 1:
        if len(folders) > 1 and any(is_image(entry.name) for entry in parts["train"].iterdir()):
            return {"train": home}  # a class of trains
        raise InputError(
            f"{home} has `{parts['train'].name}/`, but neither `test/` nor `val/` to measure on: add one, or pass "
            f"`--data.root {shlex.quote(str(parts['train']))}` to hold out test images from it."
        )
    if "train" in parts or (parts and len(parts) == len(folders)):
        return {split: parts[split] for split in ("train", "val", "test") if split in parts}
    if parts:
        names = [path.name for path in folders if path not in parts.values()]
        raise InputError(
            f"{home} has `{next(iter(parts.values())).name}/` beside {first(names)}: move the folders of the training "
            "images into `train/`, or rename what is a class."
        )
    return {"train": home}
