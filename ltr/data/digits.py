"""Long-tailed handwritten digits: real images that come with scikit-learn, so nothing is downloaded."""

from __future__ import annotations

import numpy as np
import torch

from ltr.contracts import Transform
from ltr.data.base import LongTailed
from ltr.data.splits import Split
from ltr.data.transforms import Plain

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
    size = 16
    mean = (0.3053, 0.3053, 0.3053)
    std = (0.3762, 0.3762, 0.3762)

    def usual_augment(self) -> Transform:
        """Return none: a digit that is moved or mirrored is another image than those of the test split."""
        return Plain()

    def read(self) -> tuple[dict[str, Split], list[str]]:
        """Split the file by class: the first images to test, the rest to train."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = torch.from_numpy(np.round(digits.images * (255 / 16)).astype(np.uint8))
        images = images.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None].repeat(1, 3, 1, 1)
        whole = Split(images, torch.from_numpy(digits.target.astype(np.int64)), np.arange(len(images)))
        positions = [np.flatnonzero(digits.target == label) for label in range(self.total_classes)]
        test = whole.take([part[:TEST_PER_CLASS] for part in positions])
        train = whole.take([np.sort(np.concatenate([part[TEST_PER_CLASS:] for part in positions]))])
        return {"train": train, "test": test}, [str(label) for label in range(self.total_classes)]
