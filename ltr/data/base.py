"""The data module that every long-tailed set shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor

from ltr import distributed
from ltr.contracts import Batch, Preprocessing, SamplerFactory, Timed, Transform
from ltr.counts import Tail, fingerprint, long_tailed, long_tailed_indices, shot_groups
from ltr.data.contents import contents
from ltr.data.images import ImageFiles
from ltr.data.loaders import Indices, InMemoryLoader, StreamingLoader
from ltr.data.transforms import CropFlip
from ltr.errors import InputError
from ltr.samplers import Power


class Split(NamedTuple):
    """The images of a split.

    Attributes:
        images: (N, 3, H, W) uint8, or the files of as many images.
        labels: (N,) int64.
        indices: (N,) positions in the official files.
    """

    images: Tensor | ImageFiles
    labels: Tensor
    indices: NDArray[np.int64]

    def take(self, kept: Sequence[NDArray[np.int64]]) -> Split:
        """Return the part at positions given class by class."""
        where = np.concatenate([np.asarray(part, dtype=np.int64) for part in kept])
        images = self.images[where] if isinstance(self.images, Tensor) else self.images.take(where)
        return Split(images, self.labels[where], self.indices[where])


class LongTailed(Timed, LightningDataModule):
    """A training split with a long tail, a test split, and a validation split where there is one or it is carved out.

    What is kept depends on `subset_seed` alone, never on the seed of the training. Counts, class number and shot
    groups are known at construction, before any file is read. Subclasses set the class attributes and write `read`.

    Args:
        root: folder of the files.
        imbalance: N_max / N_min; a value below 1 is read as its inverse.
        tail: `exp` (exponential), `step`, `pareto`, `balanced` (as many images as `exp` has, shared out
                evenly) or `none` (every image).
        subset_seed: which images are kept (`rand_number` of the official code).
        val_per_class: images per class carved out of the training split for validation, at least one image per class
            being left to train on; such a split is no longer the one the field reports on.
        batch_size: training images per step and process.
        eval_batch_size: images per step and process of validation, test and prediction.
        sampler: the order of an epoch.
        augment: the augmentation of training batches; None for the one that is usual for the set.

    Attributes:
        counts: training images per class, synthetic ones included.
        synthetic: how many of them are synthetic.
        follows: whether the set has a validation split of its own.
        size: height and width of its images.
        crop: height and width of the middle that an evaluation sees of an image; None for all of it.
        workers: processes that decode image files; None for one per core.
        steps_at_once: how many batches of a training come at once, as one.
    """

    name: str
    total_classes: int
    largest: int
    size: int
    follows: bool = False
    crop: int | None = None
    workers: int | None = None
    steps_at_once: int = 1
    mean: tuple[float, float, float] = (0.4914, 0.4822, 0.4465)
    std: tuple[float, float, float] = (0.2023, 0.1994, 0.2010)

    def __init__(
        self,
        root: str = "data",
        *,
        imbalance: float = 100,
        tail: Tail = "exp",
        subset_seed: int = 0,
        val_per_class: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 500,
        sampler: SamplerFactory = Power,
        augment: Transform | None = None,
    ) -> None:
        super().__init__()
        if val_per_class < 0 or batch_size < 1 or eval_batch_size < 1:
            raise InputError("val_per_class cannot be negative, and a batch needs at least one image.")
        if val_per_class and self.follows:
            raise InputError("the set has a validation split: leave out `--data.val_per_class`.")
        self.root, self.tail, self.subset_seed = root, tail, subset_seed
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.make_sampler, self.augment = sampler, augment or self.usual_augment()
        sizes = self.sizes()
        long = long_tailed(max(sizes), len(sizes), imbalance, tail)
        kept = [min(there, wanted) for there, wanted in zip(sizes, long, strict=True)]
        self.imbalance = max(kept) / min(kept) if tail in ("none", "balanced") else imbalance
        self.val_counts = [min(val_per_class, count - 1) for count in kept]
        self.counts: list[int] = [count - held for count, held in zip(kept, self.val_counts, strict=True)]
        self.synthetic = [0] * len(kept)
        self.splits: dict[str, Split] = {}
        self.files: dict[str, ImageFiles] = {}
        self.features: dict[str, Tensor] = {}

    def usual_augment(self) -> Transform:
        """Return the augmentation that the set is usually trained with."""
        return CropFlip()

    def sizes(self) -> list[int]:
        """Return how many images of every class there are to train on."""
        return [self.largest] * self.total_classes

    def read(self) -> tuple[dict[str, Split], list[str]]:
        """Return the whole `train` split, `test` and, where the set has it, `val`, and the names of the classes.

        Raises:
            InputError: where files are missing or not the official ones.
        """
        raise NotImplementedError

    @property
    def preprocessing(self) -> Preprocessing:
        """How a network that is trained on these images takes them."""
        return Preprocessing(self.size, self.crop, self.mean, self.std)

    @property
    def real(self) -> list[int]:
        """Training images per class that are not synthetic."""
        return [count - made for count, made in zip(self.counts, self.synthetic, strict=True)]

    @property
    def groups(self) -> dict[str, list[int]]:
        """Classes with many, medium and few real training images."""
        return shot_groups(self.real)

    @property
    def monitored(self) -> list[str]:
        """The splits whose measures are followed during training; none of them selects anything."""
        return ["val", "test"] if self.follows or any(self.val_counts) else ["test"]

    @property
    def fingerprints(self) -> dict[str, str]:
        """The sha256 of each split's positions in the official files; known after `setup`."""
        return {name: fingerprint(split.indices) for name, split in self.splits.items()}

    def contents(self, name: str) -> Tensor:
        """Return (N,) numbers made of the content of each image of a split; known after `setup`."""
        return contents(self.files.get(name, self.splits[name].images), f"{name} images")

    @property
    def description(self) -> dict[str, Any]:
        """What a result must say of the data it was measured on."""
        return {
            "name": self.name,
            "imbalance": self.imbalance,
            "tail": self.tail,
            "subset_seed": self.subset_seed,
            "official": not any(self.val_counts),
            "fingerprints": self.fingerprints,
            **({"synthetic": self.synthetic} if any(self.synthetic) else {}),
        }

    def setup(self, stage: str | None = None) -> None:
        """Read the files, keep the chosen images and put them on the device of this process."""
        if self.splits:
            return
        splits = self.choose()
        self.files = {name: part.images for name, part in splits.items() if isinstance(part.images, ImageFiles)}
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        self.splits = {
            name: split._replace(images=self.hold(name, split.images).to(device), labels=split.labels.to(device))
            for name, split in splits.items()
        }
        self.sampler = self.make_sampler(splits["train"].labels)

    def choose(self) -> dict[str, Split]:
        """Return the splits with the chosen images, files not yet decoded."""
        found, self.classes = self.read()
        whole = found["train"]
        sizes = [count + held for count, held in zip(self.real, self.val_counts, strict=True)]
        kept = long_tailed_indices(whole.labels.numpy(), sizes, self.subset_seed)
        splits = {
            "train": self.extended(whole.take([part[:count] for part, count in zip(kept, self.real, strict=True)]))
        }
        if any(self.val_counts):
            splits["val"] = whole.take([part[count:] for part, count in zip(kept, self.real, strict=True)])
        return found | splits

    def names(self, name: str, split: Split) -> list[str]:
        """Return what the images of a split are called in a report."""
        return [f"{name} image {index}" for index in split.indices.tolist()]

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Hear that epoch `epoch` (from 0) of `epochs` starts."""
        self.sampler.set_epoch(epoch, epochs)

    def check(self, epochs: int) -> None:
        """Raise where a switch of the sampler would never fire in `epochs` epochs."""
        self.sampler.check(epochs)

    def extended(self, split: Split) -> Split:
        """Return the training split with the synthetic images that a set adds to it."""
        return split

    def hold(self, name: str, images: Tensor | ImageFiles) -> Tensor | ImageFiles:
        """Return the images of a split as they are kept during the run: files may be decoded once and for all."""
        return images

    def loader(self, name: str, indices: Indices, batch_size: int, *, cached: bool = True) -> InMemoryLoader:
        """Return a loader over a split.

        Args:
            name: the split.
            indices: the positions to visit.
            batch_size: images per step.
            cached: whether cached features are taken where a tuning keeps some.
        """
        split = self.splits[name]
        bank = self.features.get(name) if cached else None
        if isinstance(split.images, Tensor) or bank is not None:
            return InMemoryLoader(split.labels, indices, batch_size=batch_size, images=split.images, features=bank)
        return StreamingLoader(split.labels, indices, batch_size=batch_size, images=split.images, workers=self.workers)

    def plain(self, name: str) -> InMemoryLoader:
        """Return a loader over this process's share of a split, in order and without augmentation."""
        shard = range(distributed.rank(), len(self.splits[name].labels), distributed.world())
        return self.loader(name, shard, self.eval_batch_size, cached=name != "train")

    def train_dataloader(self) -> InMemoryLoader:
        """Return the training loader: cached features where a tuning keeps some, else images."""
        return self.loader("train", self.sampler, self.batch_size * self.steps_at_once)

    def val_dataloader(self) -> list[InMemoryLoader]:
        """Return one loader per monitored split."""
        return [self.plain(name) for name in self.monitored]

    def test_dataloader(self) -> InMemoryLoader:
        """Return the test loader."""
        return self.plain("test")

    def predict_dataloader(self) -> InMemoryLoader:
        """Return the loader whose images are predicted: the test split."""
        return self.plain("test")

    def prepare(self, images: Tensor, *, augment: bool = False) -> Tensor:
        """Turn uint8 images (B, 3, H, W) into the input of a network that is trained on them, float32.

        Args:
            images: the images.
            augment: whether they are augmented, perhaps in views (B, V, 3, H, W); else only their middle is taken.
        """
        return self.preprocessing.normalised(self.augment(images)) if augment else self.preprocessing(images)

    def on_exception(self, exception: BaseException) -> None:
        """Let cached features go where a tuning fails."""
        self.features.clear()
        self.steps_at_once = 1

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Let the network prepare a batch; Lightning asks the data to, and warns where a network does it."""
        assert self.trainer is not None
        return cast("Network", self.trainer.lightning_module).prepared(batch)


class Network(Protocol):
    """What prepares a batch for itself: `ltr.methods.Method`."""

    def prepared(self, batch: Batch) -> Batch:
        """Return a batch of uint8 images as the network takes it."""
        ...
