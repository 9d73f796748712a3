"""Data sets of image files, which are listed and counted first and decoded later."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ltr.contracts import Transform
from ltr.counts import Counts, Tail
from ltr.data.base import LongTailed
from ltr.data.file_list import FileList, class_folders, divided, keep, listed, named
from ltr.data.images import ImageFiles, unreadable
from ltr.data.locate import identities
from ltr.data.splits import Split, Splits
from ltr.data.transforms import CropFlip, ResizedCrop
from ltr.errors import InputError
from ltr.preprocessing import Preprocessing
from ltr.sentences import first, plural

USUAL_SIZE = 32
FEW_SHOT = (
    "{} has no class in both its training and its test split, as in few-shot learning. "
    "Put all images of a class into one folder, or all rows into one table, without splits."
)


class FileDataset(LongTailed):
    """A data set of image files of any size and format, with its own class counts or made long-tailed.

    The middle square of every image is resized to one size. If all images fit into `memory`, they are decoded once and
    stay on the device as uint8 (10,000 images of 64 x 64 pixels take 123 MB); else worker processes decode them in
    every epoch. Either way whole batches are cropped, augmented and normalised on the device.

    A set without a test split is split class by class. Training is measured on the validation split, if there is one. A
    set with a test split alone is for evaluations.

    Args:
        root: folder of the files.
        size: height and width in pixels to which every image is resized; null for those that the pretrained weights of
            the network ask for, or else 32.
        crop: height and width that the network sees: at random places and scales in training, the middle in any
            evaluation; None for the whole image.
        memory: GiB up to which the images of the set are held in memory; 0 always decodes anew.
        cache: folder in which decoded images are kept for the next run, if they are held in memory.
        workers: processes that decode; None for one per core.
        unreadable: `refuse` files that are not images, or `skip` them; to skip, all files are read at the start.
        mean: means of the channels of pixels in [0, 1]; None for the usual ones of the set.
        std: their standard deviations.
        synthetic: folder with a folder of synthetic images per class, as `ltr synthesise` makes it, for training only;
            losses and samplers count them, results tell them apart, and the shot groups are those of the real images.
        imbalance: N_max / N_min where `tail` is not `none`; the first class is the largest.
        tail: `none` keeps every image; `exp`, `step` or `pareto` make a long tail, of at most as many images as a class
            has, and `balanced` a set of the size of `exp` without one.
        subset_seed: which images are kept, and, in a set without a test split, which are for testing.
        test_share: part of every class that is held out for testing if the set has no test split, at least one image; 1
            for all of them, in an evaluation.
        test_split: file in which a test split that was drawn is kept, so that images which are added later do not
            change it; by default one in the folder of the set.
        mirror: whether the usual augmentation flips half of the training images; not where left and right matter, as
            in traffic signs and text.
        **others: `val_per_class`, `val_share`, `batch_size`, `eval_batch_size`, `drop_last`, `sampler` and `augment` of
            `LongTailed`.

    Attributes:
        skipped: the names of the files that cannot be read and were left out.
    """

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        root: str = "data",
        *,
        size: int | None = None,
        crop: int | None = None,
        memory: float = 4.0,
        cache: str | None = None,
        workers: int | None = None,
        unreadable: Literal["refuse", "skip"] = "refuse",
        mean: tuple[float, float, float] | None = None,
        std: tuple[float, float, float] | None = None,
        synthetic: str | None = None,
        imbalance: float = 100,
        tail: Tail = "none",
        subset_seed: int = 0,
        test_share: float = 0.2,
        test_split: str | None = None,
        mirror: bool = True,
        **others: Any,
    ) -> None:
        if not 0 < test_share <= 1:
            raise InputError(
                f"test_share is a part of every class, such as 0.2, or 1 for all images; it cannot be {test_share:g}."
            )
        self.open_size = size is None and crop is None
        size = USUAL_SIZE if size is None else size
        if size < 1 or (crop is not None and not 0 < crop <= size):
            raise InputError(
                f"crop ({crop}) must be at least 1 and not exceed size ({size}): set `--data.size` or `--data.crop`."
            )
        self.home, self.size, self.crop = Path(root).expanduser(), size, crop
        self.memory, self.cache = memory, Path(cache).expanduser() if cache else None
        self.workers, self.mirror = workers, mirror
        self.mean, self.std = mean or self.mean, std or self.std
        self.test_share, self.subset_seed = test_share, subset_seed
        self.given_split = Path(test_split).expanduser() if test_split else None
        self.listings, self.classes = self.find()
        self.draw_test_split()  # before anything is left out, so that it does not depend on which files can be read
        self.skipped: list[str] = []
        if unreadable == "skip":
            for name, listing in self.listings.items():
                self.listings[name], skipped = readable(listing, f"{name} files")
                self.skipped += skipped
        self.check_splits()
        super().__init__(root, imbalance=imbalance, tail=tail, subset_seed=subset_seed, **others)
        self.own_augment = others.get("augment") is None
        if self.augment.mirrors and not mirror:
            raise InputError(
                f"{self.augment.title} flips images, against `--data.mirror false`: pass `--data.augment.flip false`."
            )
        self.synthetic_files: FileList | None = None
        if synthetic is not None:
            self.synthetic_files = synthetic_images(Path(synthetic).expanduser(), self.classes)
            self.counts = Counts(self.counts, self.synthetic_files.counts(len(self.classes)))

    @abstractmethod
    def find(self) -> tuple[dict[str, FileList], list[str]]:
        """List the images of the splits that there are, of `train`, `val` and `test`, and the names of the classes.

        Raises:
            InputError: if files are missing, or not as this kind of set has them.
        """

    def draw_test_split(self) -> None:
        """Take the validation split for testing if there is no other one, or draw a missing test split.

        Raises:
            InputError: if a class has a single image, or the file of a kept split is damaged.
        """
        if "test" not in self.listings and "val" in self.listings:
            self.listings["test"] = self.listings.pop("val")
        self.drawn = "test" not in self.listings
        if self.drawn:
            self.listings = divided(
                self.listings["train"], self.classes, self.split_file, share=self.test_share, seed=self.subset_seed
            )
        self.trainable, self.follows = "train" in self.listings, "val" in self.listings

    def check_splits(self) -> None:
        """Check that training and test splits are usable.

        Raises:
            InputError: if a class has no training image, or an image is in two splits.
        """
        if not len(self.listings["test"].names):
            raise InputError(f"{self.name} has no image to test on.")
        if not self.trainable:
            return
        if self.test_share == 1:
            raise InputError(
                f"{self.name} has a test split, so `--data.test_share 1` does not test on all of its images: leave it "
                "out, or name a folder or a table without splits."
            )
        train = self.listings["train"]
        if not np.isin(self.listings["test"].labels, train.labels).any():
            raise InputError(FEW_SHOT.format(self.name))
        empty = self.without(train)
        if empty:
            raise InputError(f"there is no image to train on of class {first(empty)}: add some, or remove the class.")
        self.check_disjoint()

    def without(self, listing: FileList) -> list[str]:
        """Return the classes of which a split has no image."""
        return [self.classes[label] for label, count in enumerate(listing.counts(len(self.classes))) if not count]

    def check_disjoint(self) -> None:
        """Raise `InputError` if a file, by whatever name, is in two splits."""
        known: dict[object, tuple[str, str]] = {}
        for split in [name for name in ("train", "val", "test") if name in self.listings]:
            listing = self.listings[split]
            own = {file: listing.names[position] for position, file in identities(listing.paths)}
            if shared := next((file for file in own if file in known), None):
                before, name = known[shared]
                alias = "" if own[shared] == name else f", there as {own[shared]}"
                before = "training" if before == "train" else before
                raise InputError(
                    f"{name} is in the {before} split and in the {split} split{alias}: take it out of one."
                )
            known |= {file: (split, name) for file, name in own.items()}

    @property
    def split_file(self) -> Path | None:
        """Where a split that was drawn is kept, so that images which are added later do not change it."""
        return self.given_split or self.usual_split_file

    @property
    def usual_split_file(self) -> Path | None:
        """Where it is kept if no file is named; None if there is no place for it."""
        return self.home / f"ltr_split_{self.test_share:g}_{self.subset_seed}.csv"

    def usual_augment(self) -> Transform:
        """Return random crops, and mirror images."""
        if self.crop is None:
            return CropFlip(padding=max(self.size // 8, 1), flip=self.mirror)
        return ResizedCrop(self.crop, flip=self.mirror)

    def sizes(self) -> list[int]:
        """Return how many training images of every class there are, or test images if there are none to train on."""
        return self.listings["train" if self.trainable else "test"].counts(len(self.classes))

    def read(self) -> tuple[dict[str, Split], list[str]]:
        """Return the splits, not yet decoded."""
        splits = {}
        for name, listing in self.listings.items():
            images = ImageFiles(listing.sources, self.size, interpolation=self.preprocessing.interpolation)
            splits[name] = Split(images, torch.from_numpy(listing.labels), listing.numbers)
        return splits, self.classes

    def extended(self, split: Split) -> Split:
        """Return the training split with the synthetic images behind the real ones."""
        if self.synthetic_files is None:
            return split
        assert isinstance(split.images, ImageFiles)
        labels = torch.cat([split.labels, torch.from_numpy(self.synthetic_files.labels)])
        numbers = np.concatenate([split.indices, self.synthetic_files.numbers])
        images = split.images.followed_by(self.synthetic_files.sources)
        return Split(images, labels, numbers, len(self.synthetic_files.labels))

    def names(self, name: str, split: Split) -> list[str]:
        """Return the names of the images of a split, and of the synthetic ones behind them."""
        assert isinstance(split.images, ImageFiles)
        listing = self.listings[name if name in self.listings else "train"]  # that it was carved out of
        known = [*listing.names, *(self.synthetic_files.names if self.synthetic_files else [])]
        return [known[at] for at in split.images.positions]

    def read_for(self, wanted: Preprocessing | None) -> None:
        """Read the images in the size that a network wants, unless one was given, and as it wants them resized."""
        before = self.preprocessing
        super().read_for(wanted)
        if self.open_size:
            self.size, self.crop = (wanted.size, wanted.crop) if wanted else (USUAL_SIZE, None)
            if self.own_augment:
                self.augment = self.usual_augment()
        after = self.preprocessing
        if (before.size, before.interpolation) != (after.size, after.interpolation):
            self.splits, self.files = Splits(), {}  # they were read otherwise

    def unused_files(self) -> list[str]:
        """Return the files in the folders of the set that are not read, if the kind of set has any."""
        return []

    def setup(self, stage: str | None = None) -> None:
        """Prepare the splits; in a training, keep the one that was drawn."""
        super().setup(stage)
        if self.cache and self.gibibytes > self.memory:
            warnings.warn(
                f"the images take {self.gibibytes:.1f} GiB, more than `--data.memory {self.memory:g}`: they are "
                "decoded in every epoch and not kept in `--data.cache`.",
                stacklevel=2,
            )
        if untested := self.without(self.listings["test"]):
            warnings.warn(
                f"{self.name} has no test image of {plural(len(untested), 'class', 'classes')}, which GM, HM and the "
                f"lowest recall leave out: {first(untested)}.",
                stacklevel=2,
            )
        if not self.drawn or not self.split_file or not self.trainable:
            return
        if stage in (None, "fit"):
            keep(self.split_file, self.listings)
        elif not named(self.split_file, self.listings["train"]):
            tested, trained = len(self.listings["test"].names), len(self.listings["train"].names)
            warnings.warn(
                f"{self.name} has no test split, so {tested:,} of its {tested + trained:,} images were drawn for it: "
                "pass `--data.test_share 1` to use all of them.",
                stacklevel=2,
            )

    @property
    def gibibytes(self) -> float:
        """How much memory the images take that the run needs."""
        others = sum(len(listing.names) for name, listing in self.listings.items() if name != "train")
        training = sum(self.counts) + sum(self.val_counts) if self.trainable else 0
        return (training + others) * 3 * self.size**2 / 2**30

    def hold(self, name: str, images: Tensor | ImageFiles) -> Tensor | ImageFiles:
        """Decode the images of a split if those of all splits fit into the memory given."""
        if isinstance(images, Tensor) or self.gibibytes > self.memory:
            return images
        return images.read(f"{name} images", self.cache)


def synthetic_images(folder: Path, classes: Sequence[str]) -> FileList:
    """Return synthetic images, in a folder per class that has some.

    Raises:
        InputError: if there is none, or a folder of another name.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} of synthetic images: make it with `ltr synthesise`.")
    images = class_folders(folder)
    unknown = sorted(images.keys() - set(classes))
    if unknown or not images:
        what = f"the folder {unknown[0]}, which is not a class of the set" if unknown else "no folder of a class"
        raise InputError(f"{folder} has {what}: it holds a folder per class with its synthetic images.")
    listing = listed(images, classes, folder)
    return listing._replace(names=[f"synthetic: {name}" for name in listing.names])


def readable(listing: FileList, what: str) -> tuple[FileList, list[str]]:
    """Return the readable images of a list and the names of the others, with a warning.

    Args:
        listing: the images.
        what: label of the progress bar.
    """
    broken = unreadable(listing.sources, what)
    names = [listing.names[at] for at in broken]
    if broken:
        what = plural(len(broken), "file that is not an image is", "files that are not images are")
        warnings.warn(f"{what} left out: {first(names)}.", stacklevel=2)
    return listing.take(np.setdiff1d(np.arange(len(listing.names)), broken)), names
