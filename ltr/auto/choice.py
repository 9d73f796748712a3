"""Choose one of many heads by what they recognise of the validation images, and say what that choice is worth."""

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


def resampled(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return (N,) how often each image is drawn, as many times from each class as it has images."""
    order, counts = labels.argsort(stable=True), torch.bincount(labels)
    starts = (counts.cumsum(0) - counts)[labels]
    drawn = order[starts + (torch.rand(len(labels), generator=generator) * counts[labels]).long()]
    return torch.bincount(drawn, minlength=len(labels)).float()


def intervals(
    right: Tensor, labels: Tensor, classes: int, measure: Measure, heads: Sequence[int], seed: int = 0
) -> list[tuple[float, float, float]]:
    """Return the value of some heads with a 95 % interval: resampled are the images of each class, and the seeds.

    Args:
        right: (heads, seeds, N) whether an image is recognised.
        labels: (N,) class indices.
        classes: number of classes.
        measure: what a head is chosen for.
        heads: which heads.
        seed: of the resampling.

    Returns:
        For each head the value, the lower and the upper bound.
    """
    answers = right[list(heads)].float()
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(RESAMPLES):
        weights = resampled(labels, generator)
        seeds = torch.randint(answers.shape[1], (answers.shape[1],), generator=generator)
        values.append(measure(recalls(answers[:, seeds], labels, classes, weights)).mean(1))
    means = measure(recalls(answers, labels, classes, torch.ones(len(labels)))).mean(1)
    low, high = torch.stack(values).quantile(torch.tensor([0.025, 0.975]), dim=0)
    return list(zip(means.tolist(), low.tolist(), high.tolist(), strict=True))
