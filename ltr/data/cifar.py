"""Long-tailed CIFAR-10 and CIFAR-100, as Cao et al. made them."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from torchvision import datasets

from ltr.data.base import LongTailed
from ltr.data.splits import Split
from ltr.errors import InputError


class CIFAR10LT(LongTailed):
    """CIFAR-10 with a long tail; the official test images. Downloaded into `root` if it is missing.

    Both sets are normalised with the constants of CIFAR-10, as all public code of the field does.

    Reference:
        Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; Cao et al., NeurIPS 2019,
        https://arxiv.org/abs/1906.07413, kaidic/LDAM-DRW, imbalance_cifar.py.
    """

    name = "CIFAR-10-LT"
    total_classes = 10
    largest = 5000
    size = 32
    source: type[datasets.CIFAR10] = datasets.CIFAR10

    def prepare_data(self) -> None:
        """Download the official files where they are missing; runs in one process only."""
        try:
            self._open(train=False)  # the md5 sums of all files are compared, the small one is read
            return
        except RuntimeError:  # torchvision's word for "missing or not the official file"
            pass
        folder = Path(self.root) / self.source.base_folder
        state = "damaged" if folder.exists() else "missing"
        try:
            self.source(self.root, train=True, download=True)
        except (URLError, OSError, RuntimeError) as error:
            raise InputError(
                f"the official files of {self.source.__name__} are {state} in {folder}, and the download failed "
                f"({error}): put them there, or name their folder's parent with `--data.root`."
            ) from error

    def _open(self, *, train: bool) -> datasets.CIFAR10:
        """Open a part after comparing its files with the official md5 sums."""
        return self.source(self.root, train=train)

    def read(self) -> tuple[dict[str, Split], list[str]]:
        """Read both parts into uint8 tensors."""
        splits = {}
        for name in ("train", "test"):
            try:
                part = self._open(train=name == "train")
            except RuntimeError as error:
                raise InputError(
                    f"the official files of {self.source.__name__} are missing or damaged in {self.root}: put them "
                    "there, or name their folder's parent with `--data.root`."
                ) from error
            images = torch.from_numpy(np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)))
            splits[name] = Split(images, torch.tensor(part.targets), np.arange(len(images)))
        return splits, list(part.classes)


class CIFAR100LT(CIFAR10LT):
    """CIFAR-100 with a long tail: 10,847 training images at imbalance 100."""

    name = "CIFAR-100-LT"
    total_classes = 100
    largest = 500
    source = datasets.CIFAR100
