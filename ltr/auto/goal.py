"""What a classifier is chosen for: one number made of the recalls of its classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ltr.errors import InputError
from ltr.losses.class_weights import class_weights
from ltr.metrics.means import FLOOR
from ltr.studies import fields

TIE = 1e-3  # of the harmonic mean beside the lowest recall, which many heads share on few images
TITLES = {
    "mean-recall": "mean recall",
    "top1": "top-1 at the shares of the training images",
    "hm": "harmonic mean",
    "lowest": "lowest recall",
}


@dataclass(frozen=True)
class Goal:
    """What a classifier is chosen for.

    Attributes:
        title: in words.
        weights: (C,) weights of the classes, in a mean of recalls.
        summary: makes the number from recalls (..., C) and weights (C,).
        worst: whether it depends most on the worst classes.
    """

    title: str
    weights: Tensor
    summary: Callable[[Tensor, Tensor], Tensor]
    worst: bool = False

    def __call__(self, recalls: Tensor) -> Tensor:
        """Return (...) the number for recalls (..., C); classes without an image, NaN in every row, are left out."""
        present = ~recalls.isnan().flatten(0, -2).any(0)
        return self.summary(recalls[..., present], self.weights[present])

    @staticmethod
    def check(name: str) -> None:
        """Raise `InputError` if there is no such goal, before the classes are known."""
        if name in TITLES:
            return
        if not Path(name).is_file():
            raise InputError(
                f"--goal is {', '.join(TITLES)}, or a YAML file with weights of classes; it is not {name}."
            )
        read(name)

    @classmethod
    def of(cls, name: str, classes: Sequence[str], counts: Sequence[int]) -> Goal:
        """Return a goal.

        Args:
            name: `mean-recall`; `top1`, the share of right answers if the classes are as common as in the training
                images; `hm`, the harmonic mean; `lowest`, the lowest recall; or a YAML file with weights of classes,
                such as `stop: 5`, for a weighted mean of the recalls. A class that is not named has weight 1.
            classes: the names of the classes.
            counts: training images per class.

        Raises:
            InputError: for another name, or if the file cannot be used.
        """
        cls.check(name)
        uniform = torch.ones(len(classes))
        match name:
            case "mean-recall":
                return cls(TITLES[name], uniform, weighted_mean)
            case "top1":
                return cls(TITLES[name], torch.tensor(counts, dtype=torch.float32), weighted_mean)
            case "hm":
                return cls(TITLES[name], uniform, lambda recalls, _: harmonic_mean(recalls), worst=True)
            case "lowest":
                return cls(TITLES[name], uniform, lowest, worst=True)
        return cls(f"mean recall, weighted by {Path(name).name}", class_weights(read(name), classes), weighted_mean)


def weighted_mean(recalls: Tensor, weights: Tensor) -> Tensor:
    """Return (...) the mean of recalls (..., C) with weights (C,)."""
    return (recalls * weights).sum(-1) / weights.sum()


def lowest(recalls: Tensor, _: Tensor) -> Tensor:
    """Return (...) the lowest of recalls (..., C); the harmonic mean decides between equal ones."""
    return recalls.amin(-1) + TIE * harmonic_mean(recalls)


def harmonic_mean(recalls: Tensor) -> Tensor:
    """Return (...) the harmonic mean of recalls (..., C), floored at 1e-3."""
    return 1 / recalls.clamp(min=FLOOR).reciprocal().mean(-1)


def read(path: str) -> dict[str | int, float]:
    """Return the weights of classes in a YAML file.

    Raises:
        InputError: if it is not a mapping of classes to positive numbers.
    """
    content, _ = fields.load(Path(path))
    numbers = isinstance(content, dict) and all(
        type(value) in (int, float) and 0 < value < math.inf for value in content.values()
    )
    if not content or not numbers:
        raise InputError(f"{path} must give weights above 0 by class, such as `stop: 5`.")
    return {key if isinstance(key, int) else str(key): float(value) for key, value in content.items()}
