"""Your own images, in folders of classes."""

from __future__ import annotations

import os
from pathlib import Path

from ltr.data.class_folders import class_folders, joined
from ltr.data.file_dataset import FEW_SHOT, FileDataset
from ltr.data.file_list import FileList
from ltr.errors import InputError

SPLITS = ("train", "val", "test")


class FolderLT(FileDataset):
    """Images in one folder per class.

    `root` holds `train/<class>/` and `test/<class>/`, and `val/<class>/` where there is one; or `train/` and `val/`,
    which is then for testing; or `<class>/` alone, of which a part of every class is kept for testing. Classes and
    files come in the order of their names; a fingerprint is one of the names of the files.

    The arguments are those of `FileDataset`.
    """

    def find(self) -> tuple[dict[str, FileList], list[str]]:
        """List the images of the folders."""
        if not self.home.is_dir():
            raise InputError(f"there is no folder {self.home}: name that of your images with `--data.root`.")
        self.name = self.home.resolve().name
        parts = {name: self.home / name for name in SPLITS if (self.home / name).is_dir()}
        if "train" not in parts:
            parts = {"train": self.home}
        elif len(parts) == 1:
            raise InputError(f"{self.home} has `train/`, but neither `test/` nor `val/` to measure on.")
        found = {name: class_folders(part) for name, part in parts.items()}
        classes = list(found["train"])
        if len(classes) < 2:
            raise InputError(
                f"{parts['train']} holds {len(classes)} folders: a set has one folder per class, and at least two."
            )
        for name, images in found.items():
            strange = sorted(images.keys() - set(classes))
            if len(strange) == len(images):
                raise InputError(FEW_SHOT.format(self.home))
            if strange:
                raise InputError(f"{parts[name]} has the class {strange[0]}, which {parts['train']} does not have.")
        return {name: joined(images, classes, self.home) for name, images in found.items()}, classes

    def unused_files(self) -> list[str]:
        """Return the files of the folder that are no image of a class, such as those of unknown kinds; no hidden ones.

        The file in which a division is kept is none of them.
        """
        listings = [*self.listings.values(), *([self.synthetic_files] if self.synthetic_files else [])]
        known = {str(self.split_file)}.union(*(map(str, listing.sources) for listing in listings))
        found = []
        for place, folders, names in os.walk(self.home):
            folders[:] = [name for name in folders if name[0] != "."]
            found += [path for name in names if name[0] != "." and (path := os.path.join(place, name)) not in known]
        return sorted(Path(path).relative_to(self.home).as_posix() for path in found)
