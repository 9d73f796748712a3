"""Test sets of other class distributions, drawn from a test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ltr.counts import by_count, long_tailed, long_tailed_indices, per_class
from ltr.errors import InputError


@dataclass(frozen=True)
class Shift:
    """A class distribution, and which images of a test split have it.

    The largest class has as many images as the largest of the split. The others fall off exponentially as in
    `long_tailed`, in the order of the training counts (`forward`) or against it (`backward`), ties in class order; have
    as many (`uniform`); or have the proportions of a draw from a Dirichlet distribution (`dirichlet`), which may leave
    a class out. A class that has fewer images than that gives all it has, so an unbalanced split is followed as far as
    its images go, and the prior of what was drawn has to be counted.

    Args:
        kind: `forward`, `backward`, `uniform` or `dirichlet`.
        parameter: N_max / N_min, or the concentration of the Dirichlet distribution, the same for all classes.
        seed: which proportions and which images are drawn.

    Reference:
        Hong et al., "Disentangling Label Distribution for Long-tailed Visual Recognition", CVPR 2021,
        https://arxiv.org/abs/2012.00321, for forward and backward.
    """

    kind: Literal["forward", "backward", "uniform", "dirichlet"]
    parameter: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse parameters without meaning."""
        if self.kind in ("forward", "backward") and not self.parameter > 1:
            raise InputError(f"the factor of a shift is N_max / N_min, above 1; it cannot be {self.parameter:g}.")
        if self.kind == "dirichlet" and not self.parameter > 0:
            raise InputError(f"the concentration of a shift is above 0; it cannot be {self.parameter:g}.")

    def __str__(self) -> str:
        return self.kind if self.kind == "uniform" else f"{self.kind} {self.parameter:g}"

    def counts(self, training: Sequence[int], sizes: Sequence[int]) -> list[int]:
        """Return the images to draw of each class.

        Args:
            training: (C,) training images per class.
            sizes: (C,) images per class of the split.

        Raises:
            InputError: if the factor is too large for the split.
        """
        largest, classes = max(sizes), len(sizes)
        if self.kind == "dirichlet":
            shares = np.random.RandomState(self.seed).dirichlet([self.parameter] * classes)
            wanted = (largest * shares / shares.max()).astype(np.int64)
        else:
            profile = long_tailed(largest, classes, self.parameter, "none" if self.kind == "uniform" else "exp")
            order = by_count(training)
            wanted = np.empty(classes, dtype=np.int64)
            wanted[order[::-1] if self.kind == "backward" else order] = profile
        return [min(size, int(count)) for size, count in zip(sizes, wanted, strict=True)]

    def draw(self, training: Sequence[int], labels: Tensor) -> Tensor:
        """Return the positions of the images among labels (N,); see `counts`."""
        counts = self.counts(training, per_class(labels, len(training)).tolist())
        return torch.from_numpy(np.concatenate(long_tailed_indices(labels.numpy(), counts, self.seed)))
