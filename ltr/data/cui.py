"""Long-tailed CIFAR-10 and CIFAR-100, as Cui et al. published them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltr.contracts import SamplerFactory
from ltr.counts import number, per_class
from ltr.data.base import Augment, LongTailed
from ltr.data.splits import Split
from ltr.data.tfrecord import examples
from ltr.errors import InputError
from ltr.ranges import PositiveFraction
from ltr.samplers import Power


class CuiCIFAR10LT(LongTailed):
    """CIFAR-10 with the long tail that Cui et al. drew once and published; the official test images.

    The counts are those of `CIFAR10LT`, the images are others: results on one are not comparable with the other's.
    `root` holds the folders of the published archive, `cifar-10-data-im-0.01` for imbalance 100, each with a
    `train.tfrecords` and an `eval.tfrecords`; there is one for each of the imbalances 10, 20, 50, 100 and 200.

    The files are the subset, all of which is kept; nothing is drawn but the images of `val_per_class`, which are always
    the same. As the files do not say which images of CIFAR they hold, a fingerprint is one of pixels and labels. They
    name no classes, which are therefore called by their numbers, those of CIFAR. As in the authors' code, a pixel x of
    0 to 255 is given to the network as x / 128 - 1.

    The layout was taken from the authors' code and tried on files written by TensorFlow, not on the archive itself.

    Args:
        root: folder of the folders.
        imbalance: N_max / N_min; a value below 1 is read as its inverse.
        val_per_class: images per class carved out of the training split for validation.
        val_share: the part of a class that `val_per_class` takes at most.
        batch_size: training images per step and process.
        eval_batch_size: images per step and process of validation, test and prediction.
        drop_last: whether the last training batch of an epoch is left out if it is smaller than the others.
        sampler: the order of an epoch.
        augment: the augmentation of training batches; None for crops and mirror images, the authors' own.

    Reference:
        Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019,
        https://arxiv.org/abs/1901.05555; official code richardaecn/class-balanced-loss, whose README has the link to
        the archive: src/generate_cifar_tfrecords_im.py (files), src/data_utils.py (counts), src/cifar.py (layout and
        augmentation), src/cifar_model.py (scale of the pixels).
    """

    name = "CIFAR-10-LT (Cui et al.)"
    total_classes = 10
    largest = 5000
    size = 32
    test_per_class = 1000
    mean = std = (128 / 255,) * 3

    def __init__(
        self,
        root: str = "data",
        *,
        imbalance: float = 100,
        val_per_class: int = 0,
        val_share: PositiveFraction = 1.0,
        batch_size: int = 128,
        eval_batch_size: int = 500,
        drop_last: bool = False,
        sampler: SamplerFactory = Power,
        augment: Augment = None,
    ) -> None:
        super().__init__(
            root,
            imbalance=imbalance,
            val_per_class=val_per_class,
            val_share=val_share,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            drop_last=drop_last,
            sampler=sampler,
            augment=augment,
        )
        self.folder = Path(self.root) / f"cifar-{self.total_classes}-data-im-{min(imbalance, 1 / imbalance):g}"

    @property
    def description(self) -> dict[str, Any]:
        """What a result must say of the data it was measured on; there is no seed of the subset."""
        return {**super().description, "subset_seed": None}

    def read(self) -> tuple[dict[str, Split], list[str]]:
        """Read both files into uint8 tensors."""
        kept = [count + held for count, held in zip(self.counts, self.val_counts, strict=True)]
        train = self.part("train", kept)
        test = self.part("eval", [self.test_per_class] * self.total_classes)
        return {"train": train, "test": test}, [str(label) for label in range(self.total_classes)]

    def part(self, name: str, counts: list[int]) -> Split:
        """Read a file.

        Args:
            name: of the file.
            counts: images per class that it must have.

        Raises:
            InputError: if it is missing, damaged, or another one.
        """
        path = self.folder / f"{name}.tfrecords"
        try:
            records = examples(path)
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}): unpack the long-tailed CIFAR of Cui et al., to which the "
                f"README of richardaecn/class-balanced-loss has the link, and name the folder that {self.folder.name} "
                "is in with `--data.root`; they published the imbalances 10, 20, 50, 100 and 200."
            ) from error
        images, labels = [], []
        for at, features in enumerate(records):
            match features.get("image"), features.get("label"):
                case [bytes() as image], [int() as label] if len(image) == 3 * self.size**2:
                    images.append(image)
                    labels.append(label)
                case _:
                    raise InputError(
                        f"record {at} of {path} is not an image of CIFAR with its label: it is another file."
                    )
            if not 0 <= label < self.total_classes:
                raise InputError(
                    f"record {at} of {path} has the label {label}, but the last class of {self.name} is "
                    f"{self.total_classes - 1}: it is a file of another set."
                )
        targets = torch.tensor(labels)
        for label, (count, due) in enumerate(zip(per_class(targets, len(counts)).tolist(), counts, strict=True)):
            if count != due:
                raise InputError(
                    f"{path} has {count} images of class {label}, but that of Cui et al. has {due}: it is another file."
                )
        pixels = torch.frombuffer(bytearray(b"".join(images)), dtype=torch.uint8).view(-1, 3, self.size, self.size)
        numbers = [number(image + bytes([label])) for image, label in zip(images, labels, strict=True)]
        return Split(pixels, targets, np.array(numbers))


class CuiCIFAR100LT(CuiCIFAR10LT):
    """CIFAR-100 with the long tail that Cui et al. drew: 10,847 training images at imbalance 100."""

    name = "CIFAR-100-LT (Cui et al.)"
    total_classes = 100
    largest = 500
    test_per_class = 100
