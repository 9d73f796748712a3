"""The data module that every long-tailed set shares."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from ltr import distributed, seeds
from ltr.contracts import Backbone, Batch, EpochAware, Sampler, SamplerFactory, Transform
from ltr.counts import Counts, Tail, fingerprint, imbalance_factor, long_tailed, long_tailed_indices, shot_groups
from ltr.data.contents import contents
from ltr.data.images import ImageFiles
from ltr.data.loaders import Indices, InMemoryLoader, StreamingLoader
from ltr.data.splits import Split, Splits, class_positions
from ltr.data.transforms import CropFlip, Plain
from ltr.errors import InputError
from ltr.preprocessing import Preprocessing
from ltr.ranges import Checked, PositiveFraction
from ltr.samplers import Power
from ltr.sentences import first

Augment = Transform | Literal["none"] | None


class LongTailed(Checked, EpochAware, LightningDataModule):
    """A long-tailed training split, a test split and, if the set has one or one is carved out, a validation split.

    The images that are kept depend on `subset_seed` only, never on the seed of the training. Counts, number of classes
    and shot groups are known at construction, before any file is read. Subclasses set the class attributes and
    implement `read`.

    Args:
        root: folder of the files.
        imbalance: N_max / N_min; a value below 1 is read as its inverse.
        tail: `exp` (exponential), `step`, `pareto`, `balanced` (as many images as `exp` has, shared out
                evenly) or `none` (every image).
        subset_seed: seed of the choice of the images that are kept (`rand_number` of the official code).
        val_per_class: images per class carved out of the training split for validation; at least one image per class
            is left to train on. The training split is then no longer the standard one.
        val_share: the part of a class that `val_per_class` takes at most, though at least one image of two or more.
        batch_size: training images per step and process.
        eval_batch_size: images per step and process of validation, test and prediction.
        drop_last: whether the last training batch of an epoch is left out if it is smaller than the others.
        sampler: the order of an epoch.
        augment: the augmentation of training batches, or `none`; null for the usual one of the set.

    Attributes:
        counts: training images per class. Data that are for evaluations only have those of the test images until
            `match` takes the counts of a network.
        imbalance: N_max / N_min of the real training images; the one asked for if the set could give it.
        follows: whether the set has a validation split of its own.
        trainable: whether the set has images to train on.
        size: height and width of its images.
        crop: height and width of the centre crop in evaluations; None for the whole image.
        classes: the names of its classes; known after `setup`.
        workers: processes that decode image files; None for one per core.
    """

    name: str
    classes: list[str]
    total_classes: int
    largest: int
    size: int
    follows: bool = False
    trainable: bool = True
    crop: int | None = None
    workers: int | None = None
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
        val_share: PositiveFraction = 1.0,
        batch_size: int = 128,
        eval_batch_size: int = 500,
        drop_last: bool = False,
        sampler: SamplerFactory = Power,
        augment: Augment = None,
    ) -> None:
        super().__init__()
        if val_per_class < 0 or batch_size < 1 or eval_batch_size < 1:
            raise InputError("val_per_class cannot be negative, and a batch needs at least one image.")
        if val_per_class and self.follows:
            raise InputError("the set has a validation split: leave out `--data.val_per_class`.")
        self.root, self.tail, self.subset_seed = os.path.expanduser(root), tail, subset_seed
        self.batch_size, self.eval_batch_size, self.drop_last = batch_size, eval_batch_size, drop_last
        self.make_sampler = sampler
        self.augment = Plain() if augment == "none" else augment or self.usual_augment()
        sizes = self.sizes()
        if tail not in ("none", "balanced"):
            imbalance = imbalance_factor(imbalance)
        wanted = long_tailed(max(sizes), len(sizes), imbalance, tail)
        kept = [min(size, count) for size, count in zip(sizes, wanted, strict=True)]
        self.val_counts = [min(val_per_class, max(int(val_share * count), 1), max(count - 1, 0)) for count in kept]
        self.counts = Counts([count - held_out for count, held_out in zip(kept, self.val_counts, strict=True)])
        as_asked = tail not in ("none", "balanced") and [*self.counts] == wanted
        self.imbalance = imbalance if as_asked else max(self.counts) / max(min(self.counts), 1)
        self.splits = Splits()
        self.files: dict[str, ImageFiles] = {}
        self.wanted: Preprocessing | None = None

    def usual_augment(self) -> Transform:
        """Return the usual augmentation of the set."""
        return CropFlip()

    def sizes(self) -> list[int]:
        """Return the number of available training images per class, of test images if there are none to train on."""
        return [self.largest] * self.total_classes

    def read(self) -> tuple[dict[str, Split], list[str]]:
        """Return the whole splits `train`, `test` and, if the set has it, `val`, and the names of the classes.

        Raises:
            InputError: if files are missing or not the official ones.
        """
        raise NotImplementedError

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing of a network that is trained on these images."""
        own = Preprocessing(self.size, self.crop, self.mean, self.std)
        return self.wanted.reading(self.size, self.crop) if self.wanted else own

    def read_for(self, wanted: Preprocessing | None) -> None:
        """Prepare to read the images as a network takes them.

        Args:
            wanted: the preprocessing that its weights ask for; None if they ask for none.
        """
        self.wanted = wanted

    @property
    def groups(self) -> dict[str, list[int]]:
        """Classes with many, medium and few real training images."""
        return shot_groups(self.counts.real)

    @property
    def monitored(self) -> list[str]:
        """The splits that are measured during training; nothing is selected by them."""
        return ["val", "test"] if self.follows or any(self.val_counts) else ["test"]

    @property
    def fingerprints(self) -> dict[str, str]:
        """The sha256 of each split's positions in the official files; known after `setup`."""
        return {name: fingerprint(split.indices) for name, split in self.splits.items()}

    def contents(self, name: str) -> Tensor:
        """Return (N,) a hash of the content of each image of a split; known after `setup`."""
        return contents(self.files.get(name, self.splits[name].images), f"{name} images")

    @property
    def description(self) -> dict[str, Any]:
        """The description of the data in results."""
        return {
            "name": self.name,
            "imbalance": self.imbalance,
            "tail": self.tail,
            "subset_seed": self.subset_seed,
            "official": not any(self.val_counts),
            "fingerprints": self.fingerprints,
            **({"synthetic": [*self.counts.synthetic]} if any(self.counts.synthetic) else {}),
        }

    def setup(self, stage: str | None = None) -> None:
        """Read the files, keep the chosen images and put them on the device of this process.

        Raises:
            InputError: if there is nothing to train on in a training.
        """
        if self.network is not None:
            self.read_for(self.network.backbone.preprocessing)
        if stage == "fit" and not self.trainable:
            raise InputError(f"{self.name} has no training images: it can be used for `ltr test` only.")
        if not self.splits:
            self.load_splits()
        if self.trainable:
            self.sampler = self.train_sampler(seeds.seed())

    def load_splits(self) -> None:
        """Fill `splits` and `files`."""
        splits = self.choose()
        self.files = {name: part.images for name, part in splits.items() if isinstance(part.images, ImageFiles)}
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        self.splits = Splits(
            (name, split._replace(images=self.hold(name, split.images).to(device), labels=split.labels.to(device)))
            for name, split in splits.items()
        )

    def match(self, classes: Sequence[str], counts: Counts) -> None:
        """Number the classes as a trained network does, before an evaluation.

        Classes that are only numbered, 0 to C - 1, keep their numbers. Data without training images take over the
        counts.

        Args:
            classes: the names that the network has; empty if they are unknown.
            counts: its training images per class.

        Raises:
            InputError: if the names are others.
        """
        if positions := class_positions(self.classes, list(classes), self.name):
            self.splits = self.splits.relabelled(positions)
            order = sorted(range(len(positions)), key=positions.__getitem__)
            self.counts = self.counts.reordered(order)
            self.val_counts = [self.val_counts[label] for label in order]
            self.classes = list(classes)
        if not self.trainable:
            self.counts = counts

    def check_order(self, classes: Sequence[str]) -> None:
        """Raise `InputError` if a network that a training starts from has these classes in another order."""
        if list(classes) != self.classes and sorted(classes) == sorted(self.classes):
            raise InputError(
                f"the checkpoint has the classes of {self.name} in another order, {first(classes, 3)}, ...: start from "
                "one that was trained on data of this kind."
            )

    def train_sampler(self, seed: int) -> Sampler:
        """Return the sampler of a run with a seed; known after `setup`."""
        sampler = self.make_sampler(self.splits["train"].labels.cpu())
        sampler.seed = seed
        return sampler

    def choose(self) -> dict[str, Split]:
        """Return the splits with the chosen images; files are not yet decoded."""
        splits, self.classes = self.read()
        if not self.trainable:
            return splits
        whole = splits["train"]
        real = self.counts.real
        sizes = [count + held_out for count, held_out in zip(real, self.val_counts, strict=True)]
        kept = long_tailed_indices(whole.labels.numpy(), sizes, self.subset_seed)
        train = whole.take([part[:count] for part, count in zip(kept, real, strict=True)])
        chosen = {"train": self.extended(train)}
        if any(self.val_counts):
            chosen["val"] = whole.take([part[count:] for part, count in zip(kept, real, strict=True)])
        return splits | chosen

    def names(self, name: str, split: Split) -> list[str]:
        """Return the names of the images of a split in reports."""
        return [f"{name} image {index}" for index in split.indices.tolist()]

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        self.sampler.set_epoch(epoch, epochs)

    def notes(self, epochs: int) -> list[str]:
        """Return what `epochs` epochs are too few for, as the sampler says."""
        return self.sampler.notes(epochs)

    def extended(self, split: Split) -> Split:
        """Return the training split with its synthetic images."""
        return split

    def hold(self, name: str, images: Tensor | ImageFiles) -> Tensor | ImageFiles:
        """Return the images of a split as they are held during the run; files may be decoded here, once."""
        return images

    def loader(
        self, name: str, indices: Indices, batch_size: int, *, features: Tensor | None = None, multiple: int = 1
    ) -> InMemoryLoader:
        """Return a loader over a split.

        Args:
            name: the split.
            indices: the positions of an epoch, in order.
            batch_size: images per step.
            features: (V, N, D) features in V views, to be read in place of the images.
            multiple: the number of images is a multiple of this one; what is left at the end of an epoch is dropped.
        """
        split, sizes = self.splits[name], {"batch_size": batch_size, "multiple": multiple}
        if isinstance(split.images, Tensor) or features is not None:
            return InMemoryLoader(split.labels, indices, images=split.images, features=features, **sizes)
        return StreamingLoader(split.labels, indices, images=split.images, workers=self.workers, **sizes)

    def training_loader(self, sampler: Sampler, *, features: Tensor | None = None, steps: int = 1) -> InMemoryLoader:
        """Return a loader over the training split.

        Args:
            sampler: the order of an epoch.
            features: (V, N, D) features in V views, to be read in place of the images.
            steps: how many batches come as one.
        """
        whole = self.batch_size if self.drop_last and len(sampler) >= self.batch_size else 1
        return self.loader("train", sampler, self.batch_size * steps, features=features, multiple=whole)

    def plain(self, name: str) -> InMemoryLoader:
        """Return a loader over this process's share of the images of a split, in order and without augmentation."""
        return self.loader(name, self.shard(name), self.eval_batch_size)

    def evaluation_loader(self, name: str) -> InMemoryLoader:
        """Return a loader over this process's share of a split: features if the network has them, else images."""
        features = self.network.evaluation_features(name) if self.network else None
        return self.loader(name, self.shard(name), self.eval_batch_size, features=features)

    def shard(self, name: str) -> range:
        """Return the positions of this process's share of a split."""
        return range(distributed.rank(), len(self.splits[name].labels), distributed.world())

    def train_dataloader(self) -> InMemoryLoader:
        """Return the training loader: features if the network caches them, else images."""
        bank = self.bank
        return self.training_loader(self.sampler, features=bank.features.get("train"), steps=bank.steps)

    def val_dataloader(self) -> list[InMemoryLoader]:
        """Return one loader per monitored split."""
        return [self.evaluation_loader(name) for name in self.monitored]

    def test_dataloader(self) -> InMemoryLoader:
        """Return the test loader."""
        return self.evaluation_loader("test")

    def predict_dataloader(self) -> InMemoryLoader:
        """Return the loader of the images to predict: the test split."""
        return self.evaluation_loader("test")

    def prepare(self, images: Tensor, *, augment: bool = False) -> Tensor:
        """Turn uint8 images (B, 3, H, W) into the float32 input of a network that is trained on them.

        Args:
            images: the images.
            augment: whether they are augmented, possibly in views (B, V, 3, H, W), in place of a centre crop.
        """
        look = self.preprocessing
        return look.normalised(look.to_side(self.augment(images))) if augment else look(images)

    def batches(self, name: str = "train", *, augment: bool | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch ready for a network, for a training loop of your own.

        Args:
            name: the split. That of training comes in the order of the sampler for the epoch of `set_epoch`.
            augment: whether images are augmented; by default those of training are.

        Yields:
            images (B, 3, H, W) float32, normalised, in views (B, V, 3, H, W) if the augmentation makes several; labels
            (B,).
        """
        if not self.splits:
            self.setup()
        loader = self.train_dataloader() if name == "train" else self.evaluation_loader(name)
        for batch in loader:
            yield self.prepare(batch.images, augment=name == "train" if augment is None else augment), batch.labels

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Let the network prepare a batch. Lightning expects this of the data and warns if the network does it."""
        network = self.network
        assert network is not None
        return network.prepared(batch)

    @property
    def network(self) -> Network | None:
        """The network that works on these data, if there is one."""
        return cast("Network | None", self.trainer and self.trainer.lightning_module)

    @property
    def bank(self) -> FeatureBank:
        """The features that the network has cached."""
        return self.network.bank if self.network else FeatureBank()


@dataclass(frozen=True)
class FeatureBank:
    """The features of a frozen backbone, which a training reads in place of the images.

    Attributes:
        features: (V, N, D) features of a split in V views, by the name of the split.
        steps: how many training steps are taken on one batch of a loader, which is that much larger.
    """

    features: Mapping[str, Tensor] = field(default_factory=dict)
    steps: int = 1


class Network(Protocol):
    """A network that prepares its batches and may cache features: `ltr.methods.Method`."""

    bank: FeatureBank
    backbone: Backbone

    def prepared(self, batch: Batch) -> Batch:
        """Return a batch of uint8 images as the network takes it."""
        ...

    def evaluation_features(self, name: str) -> Tensor | None:
        """Return (1, N, D) the features of a split that an evaluation reads in place of images, if there are any."""
        ...
