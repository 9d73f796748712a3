"""Sets that are published as lists of the images of another one, one `path label` per line: ImageNet-LT, Places-LT."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np

from ltr.contracts import Transform
from ltr.data.file_dataset import FileDataset
from ltr.data.file_list import DIGITS, FileList
from ltr.data.locate import missing
from ltr.data.splits import Split
from ltr.data.transforms import ColorJitter, Compose, ResizedCrop
from ltr.errors import InputError

SHOWN = 3


class TextLists(FileDataset):
    """A set whose splits are text files: a path of an image relative to `root`, a blank and a label in every line.

    The lists are read and checked when the set is built, the images are looked for when they are first needed. Lists of
    other sizes than the official ones are read with a note, and results on them are not marked as official. A class is
    called by the folder of its images, without what the folders of all classes share, such as `n01440764`.

    Args:
        root: folder that the paths in the lists start from.
        lists: folder of the lists; None for `root`.
        size: height and width in pixels to which every image is resized.
        crop: height and width that the network sees.
        **others: the arguments of `FileDataset`.

    Attributes:
        prefix: of the names of the lists, `PREFIX_train.txt` and so on.
        official: how many classes there are, and how many images each list names.
        source: where the lists are from.
    """

    prefix: ClassVar[str]
    official: ClassVar[Mapping[str, int]]
    source: ClassVar[str]

    def __init__(
        self,
        root: str = "data",
        *,
        lists: str | None = None,
        size: int = 256,
        crop: int | None = 224,
        **others: Any,
    ) -> None:
        self.lists = Path(lists or root).expanduser()
        super().__init__(root, size=size, crop=crop, **others)
        if self.numbers != self.official:
            warnings.warn(
                f"this is not the official {self.name}, so results on it do not compare with published ones: there "
                f"are {in_words(self.numbers)}; officially {in_words(self.official)}.",
                stacklevel=2,
            )

    def usual_augment(self) -> Transform:
        """Return random parts of the image resized, mirror images, and changes of brightness, contrast, saturation."""
        return Compose([ResizedCrop(self.crop, flip=self.mirror), ColorJitter(hue=0.0)])

    @property
    def numbers(self) -> dict[str, int]:
        """How many classes there are, and how many images each list names."""
        return {"classes": len(self.classes)} | {name: len(listing.names) for name, listing in self.listings.items()}

    @property
    def description(self) -> dict[str, Any]:
        """What a result must say of the data: official is what has the official number of images in every split."""
        used = self.numbers | {"train": sum(self.counts)}
        return {**super().description, "official": used == self.official}

    def find(self) -> tuple[dict[str, FileList], list[str]]:
        """Read the lists."""
        labels, names = {}, {}
        for split in [key for key in self.official if key != "classes"]:
            labels[split], names[split] = self.labelled(split)
        listings = {
            split: FileList([os.path.join(self.home, name) for name in known], np.array([*known.values()]), [*known])
            for split, known in labels.items()
        }
        classes = 1 + max(int(listing.labels.max()) for listing in listings.values())
        return listings, [names["train"].get(label, str(label)) for label in range(classes)]

    def labelled(self, split: str) -> tuple[dict[str, int], dict[int, str]]:
        """Return the labels of the images of a split by their names, and the names of classes by their labels."""
        path = self.lists / f"{self.prefix}_{split}.txt"
        if not path.is_file():
            raise InputError(
                f"there is no list {path}: {self.source}; put the lists there, or name their folder with "
                "`--data.lists`."
            )
        labels = read_list(path, self.official["classes"])
        return labels, folders(labels)

    def read(self) -> tuple[dict[str, Split], list[str]]:
        """Return the splits, not yet decoded, where all their images are there."""
        for split, listing in self.listings.items():
            absent = [listing.names[at] for at in missing(self.home, listing.names, f"{split} folders")]
            if absent:
                raise InputError(
                    f"{len(absent)} of the {len(listing.names)} images of the {split} list are not in {self.home}, "
                    f"such as {', '.join(absent[:SHOWN])}. {self.advice(absent[0])}"
                )
        return super().read()

    def advice(self, name: str) -> str:
        """Return what to do where an image is missing."""
        path = self.home / name
        if (path.parent.parent / path.name).is_file():
            return (
                f"It is in {path.parent.parent}: sort the images there into folders of classes, as the list has them "
                "(ImageNet's own `val/` comes without)."
            )
        return "Name the folder that the paths start from with `--data.root`, and look whether all was unpacked."


class ImageNetLT(TextLists):
    """ImageNet with a long tail: 1,000 classes of 5 to 1,280 training images; tested on the 50,000 of ImageNet's `val`.

    `root` is a folder of ILSVRC 2012 with `train/<wnid>/` and `val/<wnid>/`; ImageNet's own `val/` is flat, and has to
    be sorted into folders first. The lists are `ImageNet_LT_train.txt`, `ImageNet_LT_val.txt` (20 images of each class
    from ImageNet's `train/`, followed in training) and `ImageNet_LT_test.txt`.

    Layout and numbers are from the sources below; tested on small files of that layout, not on ImageNet.

    The arguments are those of `TextLists`.

    Reference:
        Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019, https://arxiv.org/abs/1904.05160;
        official code zhmiao/OpenLongTailRecognition-OLTR. Lists, constants and augmentation:
        facebookresearch/classifier-balancing, data/ImageNet_LT and data/dataloader.py. Numbers: tensorflow/datasets,
        imagenet_lt.
    """

    name = "ImageNet-LT"
    prefix = "ImageNet_LT"
    official: ClassVar[Mapping[str, int]] = {"classes": 1000, "train": 115_846, "val": 20_000, "test": 50_000}
    source = "it is in data/ImageNet_LT of facebookresearch/classifier-balancing"


class PlacesLT(TextLists):
    """Places365 with a long tail: 365 classes of 5 to 4,980 training images; tested on the 36,500 of Places' `val`.

    The lists are `Places_LT_train.txt`, `Places_LT_val.txt` (20 images of each class, followed in training) and
    `Places_LT_test.txt`. There are two kinds of them for the two archives of Places365-Standard: the authors' own name
    `data_256/a/airfield/00004851.jpg` and `val_256/Places365_val_00003597.jpg`, those of Kang et al.
    `train/airfield/00004851.jpg` and `val/airfield/Places365_val_00003597.jpg`. Either is read, and `root` is where its
    paths start; the same split has another fingerprint under other names.

    Layout and numbers are from the sources below; tested on small files of that layout, not on Places.

    The arguments are those of `TextLists`.

    Reference:
        Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019, https://arxiv.org/abs/1904.05160;
        official code zhmiao/OpenLongTailRecognition-OLTR. Lists, constants and augmentation:
        facebookresearch/classifier-balancing, data/Places_LT and data/dataloader.py.
    """

    name = "Places-LT"
    prefix = "Places_LT"
    official: ClassVar[Mapping[str, int]] = {"classes": 365, "train": 62_500, "val": 7_300, "test": 36_500}
    source = "it is in data/Places_LT of facebookresearch/classifier-balancing"


def read_list(path: Path, classes: int) -> dict[str, int]:
    """Return the labels of the images of a list by their names, in its order.

    Args:
        path: of the list; empty lines in it do not count.
        classes: how many there can be.

    Raises:
        InputError: if a line has no label, or one that there is not, or an image comes twice.
    """
    labels: dict[str, int] = {}
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            parts = line.rsplit(maxsplit=1)
            if not parts:
                continue
            if len(parts) < 2 or not parts[1].isdecimal() or len(parts[1]) > DIGITS:
                raise InputError(f"line {number} of {path} is not a path of an image, a blank and a label: correct it.")
            name, label = parts[0], int(parts[1])
            if label >= classes:
                raise InputError(
                    f"line {number} of {path} has the label {label}, but the last of {classes} classes is "
                    f"{classes - 1}: it is a list of another set."
                )
            if name in labels:
                raise InputError(f"line {number} of {path} names {name} again: take one of the lines out.")
            labels[name] = label
    if not labels:
        raise InputError(f"{path} names no image: it is empty, take it from its source again.")
    return labels


def folders(labels: Mapping[str, int]) -> dict[int, str]:
    """Return the folder of the first image of every class, without what the folders of all of them share.

    Args:
        labels: of the images, by their names.
    """
    first: dict[int, tuple[str, ...]] = {}
    for name, label in labels.items():
        if label not in first:
            first[label] = PurePosixPath(name).parent.parts
    shared = list(takewhile(lambda parts: len(set(parts)) == 1, zip(*first.values(), strict=False)))
    return {label: "/".join(parts[len(shared) :]) or str(label) for label, parts in first.items()}


def in_words(numbers: Mapping[str, int]) -> str:
    """Return numbers as words: `2 classes, 5 train, ...`."""
    return ", ".join(f"{number} {what}" for what, number in numbers.items())
