"""Folders of classes, which hold images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ltr.data.file_list import FileList
from ltr.data.images import KINDS
from ltr.errors import InputError
from ltr.markdown import first

SYNTHETIC = "synthetic: "  # begins the names of synthetic images


def class_folders(folder: Path) -> dict[str, list[str]]:
    """Return the images of every class, both in the order of their names.

    Raises:
        InputError: if classes have no image.
    """
    homes = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."}
    found = {
        name: sorted(
            os.path.join(place, file)
            for place, _, names in os.walk(home)
            for file in names
            if os.path.splitext(file)[1].lower() in KINDS and file[0] != "."  # such as one that is being written
        )
        for name, home in homes.items()
    }
    empty = [name for name, images in found.items() if not images]
    if empty:
        raise InputError(
            f"{folder} has folders without an image ({', '.join(sorted(KINDS))}): {first(empty)}. Add some, or remove "
            "them."
        )
    return found


def joined(images: dict[str, list[str]], classes: Sequence[str], root: Path) -> FileList:
    """Return the images of all classes as one listing.

    Args:
        images: paths by class.
        classes: the classes in order.
        root: folder that the names are relative to.
    """
    sources = [path for name in classes for path in images.get(name, [])]
    labels = np.repeat(np.arange(len(classes)), [len(images.get(name, [])) for name in classes])
    return FileList(sources, labels, [Path(path).relative_to(root).as_posix() for path in sources])


def synthetic_images(folder: Path, classes: Sequence[str]) -> FileList:
    """Return synthetic images, in a folder per class that has some.

    Raises:
        InputError: if there is none, or a folder of another name.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} of synthetic images: make it with `ltr synthesise`.")
    images = class_folders(folder)
    strange = sorted(images.keys() - set(classes))
    if strange or not images:
        what = f"the folder {strange[0]}, which is no class of the set" if strange else "no folder of a class"
        raise InputError(f"{folder} has {what}: it holds a folder per class with its synthetic images.")
    listing = joined(images, classes, folder)
    return listing._replace(names=[f"{SYNTHETIC}{name}" for name in listing.names])
