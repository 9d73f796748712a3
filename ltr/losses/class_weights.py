"""Weights of chosen classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ltr.contracts import LossFactory, Output
from ltr.counts import CountsLike
from ltr.errors import InputError
from ltr.losses.cross_entropy import CrossEntropy
from ltr.losses.weighted import Weighted
from ltr.ranges import Positive
from ltr.sentences import did_you_mean


class ClassWeights(Weighted):
    """Weight chosen classes in any loss: w_y l, with w_c = 1 for all classes that are not named.

    A mistake on a class of weight 5 costs as much as five mistakes on others. The callback of the same name gives
    classes priority after training, without another training and for losses that cannot be weighted by class, such as
    GML.

    Args:
        counts: (C,) training images per class; not used.
        weights: w_c by the name or the index of the class, such as `{stop: 5}`.
        loss: builds the loss whose values are weighted.
        weighted_mean: divide by the mean weight of the batch, as the class weights of cross-entropy do.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001,
        https://cseweb.ucsd.edu/~elkan/rescale.pdf. torch.nn.functional.cross_entropy.

    Example:
        >>> loss = ClassWeights([100, 10, 1], weights={2: 5.0})
        >>> loss.weights
        tensor([1., 1., 5.])
        >>> loss = ClassWeights([100, 10, 1], weights={"stop": 5.0})
        >>> loss.name_classes(["yield", "stop", "turn"])
        >>> loss.weights
        tensor([1., 5., 1.])
    """

    def __init__(
        self,
        counts: CountsLike,
        *,
        weights: Mapping[str | int, Positive] | None = None,
        loss: LossFactory = CrossEntropy,
        weighted_mean: bool = True,
    ) -> None:
        self.by_class = dict(weights or {})
        self.named = all(isinstance(key, int) for key in self.by_class)
        initial = class_weights(self.by_class if self.named else {}, [str(label) for label in range(len(counts))])
        super().__init__(counts, loss, initial, weighted_mean=weighted_mean and bool(weights))

    def name_classes(self, classes: Sequence[str]) -> None:
        """Receive the names of the classes, before the training."""
        super().name_classes(classes)
        self.weights.copy_(class_weights(self.by_class, classes))
        self.named = True

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        if not self.named:
            raise InputError("ClassWeights needs the names of the classes: call `name_classes`, or pass their indices.")
        return super().forward(output, labels)


def class_weights(weights: Mapping[str | int, float], classes: Sequence[str]) -> Tensor:
    """Return (C,) weights, 1 for classes that are not named.

    Args:
        weights: by the name of a class or, if no class has that name, by its index.
        classes: the names of all classes.

    Raises:
        InputError: for a class that does not exist, or that has two weights.
    """
    labels = {name: label for label, name in enumerate(classes)}
    values, weighted = torch.ones(len(classes)), set[int]()
    for key, weight in weights.items():
        name = str(key)
        label = labels.get(name, int(name) if name.isdecimal() else len(classes))
        if label >= len(classes):
            raise InputError(f"`weights` names the class {key}, which does not exist{did_you_mean(name, classes)}")
        if label in weighted:
            raise InputError(f"`weights` has two weights for the class {classes[label]}: give its name or its index.")
        weighted.add(label)
        values[label] = weight
    return values
