"""Arithmetic of class counts: long-tailed profiles, priors, shot groups, fingerprints."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ltr.errors import InputError

Tail = Literal["exp", "step", "pareto", "balanced", "none"]
CountsLike = Tensor | Sequence[int]  # (C,) images per class

MANY, FEW = 100, 20
ROUNDING = 1e-9  # of the arithmetic: the last class has N_max / IF images, not one less
PARETO = 6.0  # the power with which ImageNet-LT was drawn


class Counts(tuple[int, ...]):
    """The training images of each class: a tuple of C numbers, which also knows how many of them are synthetic.

    Args:
        real: (C,) images that are not synthetic.
        synthetic: (C,) synthetic images; none by default.

    Attributes:
        real: (C,) the same; shot groups and results per class go by these.
        synthetic: (C,) the same.

    Example:
        >>> counts = Counts([9, 5, 3], [0, 0, 4])
        >>> counts, counts.real
        ((9, 5, 7), (9, 5, 3))
    """

    real: tuple[int, ...]
    synthetic: tuple[int, ...]

    def __new__(cls, real: Sequence[int], synthetic: Sequence[int] | None = None) -> Counts:
        """Add them up."""
        synthetic = [0] * len(real) if synthetic is None else synthetic
        counts = super().__new__(cls, map(sum, zip(real, synthetic, strict=True)))
        counts.real, counts.synthetic = tuple(real), tuple(synthetic)
        return counts

    @classmethod
    def of(cls, total: Tensor, synthetic: Tensor) -> Counts:
        """Return the counts that a checkpoint keeps as the numbers (C,) of all and of the synthetic images."""
        return cls((total - synthetic).tolist(), synthetic.tolist())

    def reordered(self, labels: Sequence[int]) -> Counts:
        """Return the counts of these classes, in this order."""
        return Counts([self.real[label] for label in labels], [self.synthetic[label] for label in labels])


def imbalance_factor(imbalance: float) -> float:
    """Return N_max / N_min, reading a value below 1 as N_min / N_max (with a note).

    Raises:
        InputError: for 0, 1, a negative or a non-finite value.
    """
    if not math.isfinite(imbalance) or imbalance <= 0:
        raise InputError(f"imbalance is N_max / N_min, such as 100; it cannot be {imbalance:g}.")
    if imbalance == 1:
        raise InputError("imbalance 1 is a balanced set: give a factor above 1, or pass `--data.tail none`.")
    if imbalance < 1:
        factor = round(1 / imbalance, 9)
        warnings.warn(
            f"imbalance {imbalance:g} is read as N_min / N_max, that is a factor of {factor:g}.", stacklevel=2
        )
        return factor
    return float(imbalance)


def long_tailed(largest: float, classes: int, imbalance: float, tail: Tail = "exp") -> list[int]:
    """Return the images per class of a long tail, class 0 the largest.

    `exp`: N_c = int(N_max * IF ** (-c / (C - 1))), truncated as Cao et al. do. `step`: the first half of the classes
    keep N_max images, the others int(N_max / IF). `pareto`: the density of a Pareto distribution of power a = 6, at C
    equal steps from its mode down to 1 / IF of it: N_c = int(N_max * (1 + c * r / (C - 1)) ** -(a + 1)) with
    r = IF ** (1 / (a + 1)) - 1, which falls faster at the head and more slowly in the tail than `exp`. `balanced`: the
    images of `exp` shared out evenly, rounded down, for what a network could learn from as many without a tail. `none`:
    every class keeps N_max.

    Args:
        largest: N_max, images of the largest class.
        classes: C.
        imbalance: N_max / N_min.
        tail: `exp`, `step`, `pareto`, `balanced` or `none`.

    Raises:
        InputError: if a class would be left without images.

    Reference:
        Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019,
        https://arxiv.org/abs/1906.07413; official code kaidic/LDAM-DRW, imbalance_cifar.py. Liu et al., "Large-Scale
        Long-Tailed Recognition in an Open World", CVPR 2019, https://arxiv.org/abs/1904.05160, for the power 6.
    """
    if tail == "none":
        return [int(largest)] * classes
    if tail == "balanced":
        return [sum(long_tailed(largest, classes, imbalance)) // classes] * classes
    ratio = 1 / imbalance_factor(imbalance)
    steps = [label / max(classes - 1.0, 1.0) for label in range(classes)]
    if tail == "exp":
        counts = [int(largest * ratio**step) for step in steps]
    elif tail == "pareto":
        reach = ratio ** (-1 / (PARETO + 1)) - 1
        counts = [int(largest * (1 + reach * step) ** -(PARETO + 1) + ROUNDING) for step in steps]
    else:
        half = classes // 2
        counts = [int(largest)] * half + [int(largest * ratio)] * (classes - half)
    if min(counts) < 1:
        raise InputError(
            f"the smallest class would have no image at imbalance {imbalance:g}: the largest class has {int(largest)} "
            f"images, so the factor can be at most {int(largest)}."
        )
    return counts


def known(counts: CountsLike) -> Tensor:
    """Return the counts (C,) in float64.

    Raises:
        InputError: unless they are finite numbers of images, one for each class.
    """
    numbers = torch.as_tensor(counts, dtype=torch.float64)
    if numbers.dim() != 1 or not len(numbers) or not bool(((numbers >= 0) & numbers.isfinite()).all()):
        raise InputError("counts are the numbers of training images of each class, such as [100, 10, 1].")
    return numbers


def populated(counts: CountsLike) -> Tensor:
    """Return the counts (C,) in float64.

    Raises:
        InputError: if a class has no image, since neither its logarithm nor its inverse is finite.
    """
    numbers = known(counts)
    if float(numbers.min()) < 1:
        raise InputError(f"class {int(numbers.argmin())} has no training image: drop it or give it some.")
    return numbers


def shares(counts: CountsLike) -> Tensor:
    """Return (C,) N_c / N in float64."""
    numbers = populated(counts)
    return numbers / numbers.sum()


def log_prior(counts: CountsLike) -> Tensor:
    """Return (C,) log(N_c / N), computed in float64 and given in the default precision."""
    return shares(counts).log().to(torch.get_default_dtype())


def inverse_frequency(counts: CountsLike, power: float = 1.0) -> Tensor:
    """Return (C,) (N_min / N_c) ** power in the default precision: 1 for the smallest class, less for the others."""
    numbers = populated(counts)
    return (numbers.min() / numbers).pow(power).to(torch.get_default_dtype())


def inverse_effective_number(counts: CountsLike, beta: float) -> Tensor:
    """Return (C,) (1 - beta) / (1 - beta ** N_c), scaled to sum to C, in the default precision.

    Args:
        counts: (C,) training images per class, N_c.
        beta: in [0, 1); 0 gives ones, and towards 1 the weights tend to 1 / N_c.
    """
    weights = 1 / (1 - torch.tensor(beta, dtype=torch.float64).pow(populated(counts)))
    return (weights * (len(weights) / weights.sum())).to(torch.get_default_dtype())


def by_count(counts: Sequence[int]) -> NDArray[np.int64]:
    """Return the classes from the most to the fewest training images, ties in class order."""
    return np.argsort(-np.asarray(counts, dtype=np.int64), kind="stable").astype(np.int64)


def shot_groups(counts: Sequence[int]) -> dict[str, list[int]]:
    """Return the classes with many (N_c > 100), medium (20 <= N_c <= 100) and few (N_c < 20) training images."""
    return {
        "many": [label for label, count in enumerate(counts) if count > MANY],
        "medium": [label for label, count in enumerate(counts) if FEW <= count <= MANY],
        "few": [label for label, count in enumerate(counts) if count < FEW],
    }


def gini(counts: Sequence[int]) -> float:
    """Return the Gini coefficient of the counts: 0 where all are equal, 1 - 1 / C where one class has every image.

    With the counts in rising order, G = sum_i (2 i - C - 1) N_i / (C sum_i N_i): twice the area between the Lorenz
    curve and the diagonal, and half the mean difference of two classes as a part of the mean count.

    Reference:
        Yang et al., "A Survey on Long-Tailed Visual Recognition", IJCV 2022, https://arxiv.org/abs/2205.13775, which
        proposes it as the measure of a long tail.
    """
    rising, classes = np.sort(np.asarray(counts, dtype=np.float64)), len(counts)
    return float((2 * np.arange(1, classes + 1) - classes - 1) @ rising / (classes * max(rising.sum(), 1)))


def head_share(counts: Sequence[int]) -> float:
    """Return the share of the images that the largest fifth of the classes, rounded up, holds."""
    largest = sorted(counts, reverse=True)[: -(-len(counts) // 5)]
    return sum(largest) / max(sum(counts), 1)


def long_tailed_indices(labels: NDArray[np.int64], counts: Sequence[int], subset_seed: int) -> list[NDArray[np.int64]]:
    """Choose the kept images of every class as the Cao protocol does, without touching the global generators.

    Args:
        labels: (N,) labels in the official order of the files.
        counts: images to keep per class.
        subset_seed: `rand_number` of the official code.

    Returns:
        One array of positions per class.

    Raises:
        InputError: if a class has fewer images than asked for.
    """
    generator = np.random.RandomState(subset_seed)
    kept = []
    for label, count in enumerate(counts):
        positions = np.flatnonzero(labels == label)
        if len(positions) < count:
            raise InputError(f"class {label} has {len(positions)} images, fewer than the {count} asked for.")
        generator.shuffle(positions)
        kept.append(positions[:count])
    return kept


def fingerprint(indices: NDArray[np.int64] | Sequence[int]) -> str:
    """Return the sha256 of the sorted kept indices as little-endian int64: the identity of a split."""
    return hashlib.sha256(np.sort(np.asarray(indices, dtype="<i8")).tobytes()).hexdigest()


def number(content: bytes) -> int:
    """Return a number of 63 bits that stands for some content, where an image has no position in an official file."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "little") >> 1


def per_class(labels: Tensor, classes: int) -> Tensor:
    """Return (C,) how often each class occurs among labels (N,)."""
    # Not bincount, which waits for the device to learn how long its result is, and which vmap cannot batch.
    zeros = torch.zeros(classes, dtype=torch.int64, device=labels.device)
    return zeros.index_add(0, labels.long(), torch.ones_like(labels, dtype=torch.int64))
