"""Your own images, in folders of classes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ltr.data.images import KINDS
from ltr.data.listed import Listed
from ltr.data.listing import Listing
from ltr.errors import InputError

SPLITS = ("train", "val", "test")


class FolderLT(Listed):
    """Images in one folder per class.

    `root` holds `train/<class>/` and `test/<class>/`, and `val/<class>/` where there is one; or `train/` and `val/`,
    which is then for testing; or `<class>/` alone, of which a part of every class is kept for testing. Classes and
    files come in the order of their names; a fingerprint is one of the names of the files.

    The arguments are those of `Listed`.
    """

    def find(self) -> tuple[dict[str, Listing], list[str]]:
        """List the images of the folders."""
        if not self.home.is_dir():
            raise InputError(f"there is no folder {self.home}: name that of your images with `--data.root`.")
        self.name = self.home.resolve().name
        parts = {name: self.home / name for name in SPLITS if (self.home / name).is_dir()}
        if "train" not in parts:
            parts = {"train": self.home}
        elif len(parts) == 1:
            raise InputError(f"{self.home} has `train/`, but neither `test/` nor `val/` to measure on.")
        found = {name: self.listing(part) for name, part in parts.items()}
        classes = list(found["train"])
        if len(classes) < 2:
            raise InputError(
                f"{parts['train']} holds {len(classes)} folders: a set has one folder per class, and at least two."
            )
        for name, images in found.items():
            strange = sorted(images.keys() - set(classes))
            if len(strange) == len(images):
                raise InputError(
                    f"{parts[name]} has none of the classes of {parts['train']}: so is a split for few-shot learning, "
                    "whose classes are new in testing. Put all images of a class into one folder, without splits."
                )
            if strange:
                raise InputError(f"{parts[name]} has the class {strange[0]}, which {parts['train']} does not have.")
        return {name: self.joined(images, classes) for name, images in found.items()}, classes

    def joined(self, images: dict[str, list[str]], classes: list[str]) -> Listing:
        """Return the images of all classes as one listing."""
        sources = [path for name in classes for path in images.get(name, [])]
        labels = np.repeat(np.arange(len(classes)), [len(images.get(name, [])) for name in classes])
        return Listing(sources, labels, [Path(path).relative_to(self.home).as_posix() for path in sources])

    @staticmethod
    def listing(folder: Path) -> dict[str, list[str]]:
        """Return the images of every class, by the names of the folders.

        Raises:
            InputError: where one of them has no image.
        """
        classes = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."}
        found = {
            name: sorted(
                os.path.join(place, file)
                for place, _, names in os.walk(home)
                for file in names
                if os.path.splitext(file)[1].lower() in KINDS
            )
            for name, home in classes.items()
        }
        for name, images in found.items():
            if not images:
                raise InputError(
                    f"{folder / name} holds no image ({', '.join(sorted(KINDS))}): add some, or remove it."
                )
        return found
