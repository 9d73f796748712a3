"""Long-tailed handwritten digits: real images that come with scikit-learn, so nothing is downloaded."""

from __future__ import annotations

import numpy as np
import torch
from jsonargparse import lazy_instance

from ltr.contracts import SamplerFactory, Transform
from ltr.counts import Profile
from ltr.data.base import LongTailed, Split
from ltr.data.transforms import Plain
from ltr.samplers import Power

TEST_PER_CLASS = 40


class DigitsLT(LongTailed):
    """1,797 digits of 8 x 8 pixels, doubled to 16 x 16, made long-tailed; 40 test images per class.

    `root` is not used. The first 40 images of each class in the file are the test split; the largest class keeps 130 of
    the others.

    Reference:
        Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998; scikit-learn's
        `load_digits`.
    """

    name = "Digits-LT"
    total_classes = 10
    largest = 130
    mean = (0.3053, 0.3053, 0.3053)
    std = (0.3762, 0.3762, 0.3762)

    def __init__(
        self,
        root: str = "data",
        *,
        imbalance: float = 50,
        profile: Profile = "exp",
        subset_seed: int = 0,
        val_per_class: int = 0,
        batch_size: int = 32,
        eval_batch_size: int = 500,
        sampler: SamplerFactory = Power,
        augment: Transform = lazy_instance(Plain),
    ) -> None:
        super().__init__(
            root,
            imbalance=imbalance,
            profile=profile,
            subset_seed=subset_seed,
            val_per_class=val_per_class,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            sampler=sampler,
            augment=augment,
        )

    def read(self) -> tuple[Split, Split, list[str]]:
        """Split the file by class: the first images to test, the rest to train."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = torch.from_numpy(np.round(digits.images * (255 / 16)).astype(np.uint8))
        images = images.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None].repeat(1, 3, 1, 1)
        whole = Split(images, torch.from_numpy(digits.target.astype(np.int64)), np.arange(len(images)))
        positions = [np.flatnonzero(digits.target == label) for label in range(self.total_classes)]
        test = whole.take([part[:TEST_PER_CLASS] for part in positions])
        train = whole.take([np.sort(np.concatenate([part[TEST_PER_CLASS:] for part in positions]))])
        return train, test, [str(label) for label in range(self.total_classes)]
