"""Choose one of many heads by what they recognise of the validation images, and say how reliable that choice is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Measure = Callable[[Tensor], Tensor]  # recalls (..., C) -> (...)
HALVINGS, RESAMPLES = 100, 1000


@dataclass(frozen=True)
class Choice:
    """The choice between some heads.

    Attributes:
        best: the head with the highest value on the validation images.
        default: the head that is taken if choosing does not pay.
        value: what choosing gives on images that the choice has not seen: the mean over random halvings of the
            validation images, where the best head of one half is measured on the other; NaN for a single image.
        gain: what that is above the default head.
    """

    best: int
    default: int
    value: float
    gain: float

    @property
    def pays(self) -> bool:
        """Whether choosing pays."""
        return self.gain > 0

    @property
    def chosen(self) -> int:
        """The head that is taken."""
        return self.best if self.pays else self.default


def choose(right: Tensor, labels: Tensor, classes: int, measure: Measure, default: int, seed: int = 0) -> Choice:
    """Choose the head with the highest mean over its seeds, if such a choice is better than the default head.

    The largest of many noisy values is too high, and the head that has it need not be better than the others. So the
    choice is tried out: the head that is best on one half of the images of every class is measured on the other half,
    a hundred times. If it is on average no better there than the default head, the default head is taken.

    Args:
        right: (heads, seeds, N) whether an image is recognised.
        labels: (N,) class indices.
        classes: number of classes.
        measure: what a head is chosen for.
        default: the head to take if choosing does not pay.
        seed: of the halvings.
    """
    answers = right.float()

    def values(weights: Tensor) -> Tensor:
        return measure(recalls(answers, labels, classes, weights)).mean(1)

    found, gains = [], []
    generator = torch.Generator().manual_seed(seed)
    for _ in range(HALVINGS):
        half = halved(labels, generator)
        if len(labels) < 2 or bool(half.all()) or not bool(half.any()):
            continue
        parts = values(half.float()), values(1 - half.float())
        for one, other in (parts, parts[::-1]):
            found.append(float(other[one.argmax()]))
            gains.append(found[-1] - float(other[default]))
    best = int(values(torch.ones(len(labels))).argmax())
    value, gain = (float(torch.tensor(each).mean()) for each in (found, gains))
    return Choice(best, default, value, gain)


def recalls(right: Tensor, labels: Tensor, classes: int, weights: Tensor) -> Tensor:
    """Return (heads, seeds, C) the recalls on images with weights (N,), NaN for a class without an image.

    Args:
        right: (heads, seeds, N) 1 where an image is recognised, float32.
        labels: (N,) class indices.
        classes: number of classes.
        weights: how often an image counts.
    """
    used = weights > 0
    hits = right.new_zeros(*right.shape[:2], classes)
    hits.index_add_(2, labels[used], right[..., used] * weights[used])
    return hits / right.new_zeros(classes).index_add_(0, labels[used], weights[used])


def halved(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return (N,) whether an image is in the first of two halves, drawn class by class; chance takes an odd image."""
    order = torch.randperm(len(labels), generator=generator)
    order = order[labels[order].argsort(stable=True)]  # class by class, each in random order
    counts = torch.bincount(labels)
    starts = counts.cumsum(0) - counts
    places = torch.arange(len(labels)) - starts[labels[order]]
    odd = torch.randint(2, (len(counts),), generator=generator)
    half = torch.empty(len(labels), dtype=torch.bool)
    half[order] = (places + odd[labels[order]]) % 2 == 0
    return half


def redrawn(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return (N,) an image in place of each: for one of n images of a class, in n of n + 1 cases one of that class.

    In the others it is of any class. Images of one class alone would say that a class with one image has no spread.
    """
    order, counts = labels.argsort(stable=True), torch.bincount(labels)
    present = counts.nonzero().flatten()
    chances = torch.rand(2, len(labels), generator=generator, dtype=torch.float64)
    own = chances[0] * (counts[labels] + 1) < counts[labels]
    any_class = present[torch.randint(len(present), labels.shape, generator=generator)]
    chosen = torch.where(own, labels, any_class)
    places = (chances[1] * counts[chosen]).long()
    return order[(counts.cumsum(0) - counts)[chosen] + places]


def intervals(
    right: Tensor, labels: Tensor, classes: int, measure: Measure, heads: Sequence[int]
) -> list[tuple[float, float, float]]:
    """Return the value of some heads with a 95 % interval: images and seeds are drawn again, a thousand times.

    The images are drawn with `redrawn`, among them those of one more class, of which one is recognised and one is not:
    where all answers are alike, there is a spread, too. What a recall deviates from what is expected of it there is
    stretched by (n + 1) / sqrt(n^2 + n + 1), so that its variance is on average that of n images, p (1 - p) / n.

    Args:
        right: (heads, seeds, N) whether an image is recognised.
        labels: (N,) class indices.
        classes: number of classes.
        measure: what a head is chosen for.
        heads: which heads.

    Returns:
        For each head the value, the lower and the upper bound.
    """
    answers = torch.cat([right, torch.tensor([False, True]).expand(*right.shape[:2], 2)], 2)[list(heads)].float()
    labels = torch.cat([labels, torch.tensor([classes, classes])])
    counts, ones = torch.bincount(labels), torch.ones(len(labels))
    found = recalls(answers, labels, classes + 1, ones)
    expected = (counts * found + found.nanmean(-1, keepdim=True)) / (counts + 1)
    stretch = (counts + 1) / (counts.square() + counts + 1).sqrt()
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(RESAMPLES):
        again = recalls(answers[..., redrawn(labels, generator)], labels, classes + 1, ones)
        seeds = torch.randint(answers.shape[1], (answers.shape[1],), generator=generator)
        values.append(measure((found + stretch * (again - expected))[:, seeds, :-1]).mean(1))
    low, high = torch.stack(values).quantile(torch.tensor([0.025, 0.975]), dim=0).clamp(0, 1)
    return list(zip(measure(found[..., :-1]).mean(1).tolist(), low.tolist(), high.tolist(), strict=True))
