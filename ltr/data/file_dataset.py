"""Data sets of image files, which are listed and counted first and decoded later."""

from __future__ import annotations

import hashlib
import warnings
from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ltr import files
from ltr.contracts import Transform
from ltr.counts import Tail
from ltr.data.base import LongTailed, Split
from ltr.data.class_folders import synthetic_images
from ltr.data.file_list import FileList, divided, keep
from ltr.data.images import ImageFiles, unreadable
from ltr.data.transforms import CropFlip, ResizedCrop
from ltr.errors import InputError
from ltr.markdown import first

FEW_SHOT = (
    "{} has no class in both its training and its test split, as in few-shot learning. "
    "Put all images of a class into one folder, or all rows into one table, without splits."
)


class FileDataset(LongTailed):
    """A data set of image files of any size and format, with its own class counts or made long-tailed.

    The middle square of every image is resized to one size. If all images fit into `memory`, they are decoded once and
    stay on the device as uint8 (10,000 images of 64 x 64 pixels take 123 MB); else worker processes decode them in
    every epoch. Either way whole batches are cropped, augmented and normalised on the device.

    A set without a test split is split class by class. Training is measured on the validation split, if there is one.

    Args:
        root: folder of the files.
        size: height and width in pixels to which every image is resized.
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
        test_share: part of every class that is kept for testing where the set has no test split, at least one image.
        **others: `val_per_class`, `batch_size`, `eval_batch_size`, `sampler` and `augment` of `LongTailed`.
    """

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        root: str = "data",
        *,
        size: int = 32,
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
        **others: Any,
    ) -> None:
        if not 0 < test_share < 1:
            raise InputError(f"test_share is a part of every class, such as 0.2; it cannot be {test_share:g}.")
        if size < 1 or (crop is not None and not 0 < crop <= size):
            raise InputError(
                f"crop ({crop}) must be at least 1 and not exceed size ({size}): set `--data.size` or `--data.crop`."
            )
        self.home, self.size, self.crop = Path(root), size, crop
        self.memory, self.cache = memory, cache
        self.workers = workers
        self.mean, self.std = mean or self.mean, std or self.std
        self.test_share, self.subset_seed = test_share, subset_seed
        self.listings, self.classes = self.find()
        if unreadable == "skip":
            self.listings = {name: readable(listing, f"{name} files") for name, listing in self.listings.items()}
        self.complete()
        super().__init__(root, imbalance=imbalance, tail=tail, subset_seed=subset_seed, **others)
        self.synthetic_files: FileList | None = None
        if synthetic is not None:
            self.synthetic_files = synthetic_images(Path(synthetic), self.classes)
            self.synthetic = self.synthetic_files.counts(len(self.classes))
            self.counts = [count + made for count, made in zip(self.counts, self.synthetic, strict=True)]

    @abstractmethod
    def find(self) -> tuple[dict[str, FileList], list[str]]:
        """List the images of the splits that there are, of `train`, `val` and `test`, and the names of the classes.

        Raises:
            InputError: if files are missing, or not as this kind of set has them.
        """

    def complete(self) -> None:
        """Draw a missing test split, and check that training and test splits are usable.

        Raises:
            InputError: if a class has no training image, or an image is in two splits.
        """
        if "test" not in self.listings and "val" in self.listings:
            self.listings["test"] = self.listings.pop("val")
        self.drawn = "test" not in self.listings
        if self.drawn:
            self.listings = divided(
                self.listings["train"], self.classes, self.split_file, share=self.test_share, seed=self.subset_seed
            )
        if not len(self.listings["test"].names):
            advice = f"; {self.split_file} says which, delete it to draw anew" if self.drawn else ""
            raise InputError(f"{self.name} has no image to test on{advice}.")
        if not np.isin(self.listings["test"].labels, self.listings["train"].labels).any():
            raise InputError(FEW_SHOT.format(self.name))
        self.follows = "val" in self.listings
        empty = [self.classes[number] for number, count in enumerate(self.sizes()) if not count]
        if empty:
            raise InputError(f"there is no image to train on of class {first(empty)}: add some, or remove the class.")
        known = set(self.listings["train"].names)
        for name in self.listings.keys() - {"train"}:
            twice = [image for image in self.listings[name].names if image in known]
            if twice:
                raise InputError(f"{twice[0]} is in the training split and in the {name} split: take it out of one.")

    @property
    def split_file(self) -> Path | None:
        """Where a split that was drawn is kept, so that images which are added later do not change it."""
        return self.home / f"ltr_split_{self.test_share:g}_{self.subset_seed}.csv"

    def usual_augment(self) -> Transform:
        """Return random crops, and mirror images."""
        if self.crop is None:
            return CropFlip(padding=max(self.size // 8, 1))
        return ResizedCrop(self.crop)

    def sizes(self) -> list[int]:
        """Return how many training images of every class there are."""
        return self.listings["train"].counts(len(self.classes))

    def read(self) -> tuple[dict[str, Split], list[str]]:
        """Return the splits, not yet decoded."""
        splits = {}
        for name, listing in self.listings.items():
            images = ImageFiles(listing.sources, self.size)
            splits[name] = Split(images, torch.from_numpy(listing.labels), listing.numbers)
        return splits, self.classes

    def extended(self, split: Split) -> Split:
        """Return the training split with the synthetic images behind the real ones."""
        if self.synthetic_files is None:
            return split
        assert isinstance(split.images, ImageFiles)
        labels = torch.cat([split.labels, torch.from_numpy(self.synthetic_files.labels)])
        numbers = np.concatenate([split.indices, self.synthetic_files.numbers])
        return Split(split.images.followed_by(self.synthetic_files.sources), labels, numbers)

    def names(self, name: str, split: Split) -> list[str]:
        """Return the names of the images of a split, and of the synthetic ones behind them."""
        assert isinstance(split.images, ImageFiles)
        listing = self.listings.get(name, self.listings["train"])  # what was carved out of it
        known = [*listing.names, *(self.synthetic_files.names if self.synthetic_files else [])]
        return [known[at] for at in split.images.positions]

    def unused_files(self) -> list[str]:
        """Return the files in the folders of the set that are not read, if the kind of set has any."""
        return []

    def setup(self, stage: str | None = None) -> None:
        """Prepare the splits, and keep the one that was drawn."""
        super().setup(stage)
        if self.drawn and self.split_file:
            keep(self.split_file, self.listings)

    @property
    def gibibytes(self) -> float:
        """How much memory the images take that the run needs."""
        others = sum(len(listing.names) for name, listing in self.listings.items() if name != "train")
        return (sum(self.counts) + sum(self.val_counts) + others) * 3 * self.size**2 / 2**30

    def hold(self, name: str, images: Tensor | ImageFiles) -> Tensor | ImageFiles:
        """Decode the images of a split where those of all splits fit into the memory given."""
        if isinstance(images, Tensor) or self.gibibytes > self.memory:
            return images
        return packed(images, Path(self.cache), f"{name} images") if self.cache else images.read(f"{name} images")


def readable(listing: FileList, what: str) -> FileList:
    """Return the readable images of a list, with a warning about the others.

    Args:
        listing: the images.
        what: label of the progress bar.
    """
    broken = unreadable(listing.sources, what)
    if broken:
        names = first([listing.names[at] for at in broken])
        warnings.warn(f"{len(broken)} files are not images and are left out: {names}.", stacklevel=2)
    return listing.take(np.setdiff1d(np.arange(len(listing.names)), broken))


def packed(images: ImageFiles, folder: Path, what: str) -> Tensor:
    """Return images (N, 3, H, W) uint8 from a file in the folder, or read them and write it.

    Args:
        images: the files; if the time or size of one has changed, they are read again.
        folder: folder of the packed files; any of them can be deleted at any time.
        what: shown beside the progress of the reading.
    """
    path = folder / f"{fingerprint(images)}.npy"
    if path.is_file():
        return torch.from_numpy(np.load(path))
    pixels = images.read(what)
    files.replace(path, lambda temporary: np.save(temporary, pixels.numpy()))
    return pixels


def fingerprint(images: ImageFiles) -> str:
    """Return a hash of the size, and of path, length and time of each file."""
    digest = hashlib.sha256(str(images.size).encode())
    for position in range(len(images)):
        source = images.source(position)
        if isinstance(source, str):
            state = Path(source).stat()
            source = f"{Path(source).resolve()}\0{state.st_size}\0{state.st_mtime_ns}\0".encode()
        digest.update(source)
    return digest.hexdigest()[:32]
