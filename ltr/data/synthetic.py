"""Coloured noise with a class in it: for tests, never for claims."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ltr.data.base import LongTailed
from ltr.data.splits import Split
from ltr.errors import InputError


class Synthetic(LongTailed):
    """Images of uniform noise whose mean colour depends on the class.

    Args:
        classes: number of classes.
        largest: training images of the largest class.
        test_per_class: test images of each class.
        size: height and width in pixels.
        **others: `tail`, `subset_seed`, `val_per_class`, `sampler` and `augment` of `LongTailed`.
    """

    name = "Synthetic"

    def __init__(
        self,
        root: str = "data",
        *,
        classes: int = 5,
        largest: int = 20,
        test_per_class: int = 4,
        size: int = 8,
        imbalance: float = 10,
        batch_size: int = 16,
        eval_batch_size: int = 16,
        **others: Any,
    ) -> None:
        if classes < 2:
            raise InputError("a classification needs at least two classes.")
        self.total_classes, self.largest = classes, largest
        self.test_per_class, self.size = test_per_class, size
        super().__init__(root, imbalance=imbalance, batch_size=batch_size, eval_batch_size=eval_batch_size, **others)

    def read(self) -> tuple[dict[str, Split], list[str]]:
        """Draw both parts."""
        generator = torch.Generator().manual_seed(0)
        colours = torch.randint(0, 128, (self.total_classes, 3, 1, 1), generator=generator)
        parts = []
        for per_class in (self.largest, self.test_per_class):
            labels = torch.arange(self.total_classes).repeat_interleave(per_class)
            noise = torch.randint(0, 128, (len(labels), 3, self.size, self.size), generator=generator)
            parts.append(Split((noise + colours[labels]).to(torch.uint8), labels, np.arange(len(labels))))
        return dict(zip(("train", "test"), parts, strict=True)), [
            f"class {label}" for label in range(self.total_classes)
        ]
