"""Priorities of chosen classes, after training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ltr.contracts import Output
from ltr.data import LongTailed
from ltr.losses.class_weights import class_weights
from ltr.methods.base import Adjustment, BaseMethod
from ltr.ranges import Positive


class ClassWeights(Adjustment):
    """Give chosen classes priority: logits z_c + log w_c, with w_c = 1 for all classes that are not named.

    This multiplies the odds of a class by its weight, which is the optimal decision if a miss of the class costs w_c
    times as much as a miss of another one. It needs no training; the loss of the same name weights classes in training.

    Args:
        weights: w_c by the name or the index of the class, such as `{stop: 5}`; below 1 the class is predicted less.

    Reference:
        Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001,
        https://cseweb.ucsd.edu/~elkan/rescale.pdf.
    """

    shifts: Tensor

    def __init__(self, weights: Mapping[str | int, Positive]) -> None:
        self.weights = dict(weights)

    @property
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""
        return {"weights": {str(key): weight for key, weight in self.weights.items()}}

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Look up the classes by their names."""
        classes = method.classes or [str(label) for label in range(len(method.counts))]
        self.shifts = class_weights(self.weights, classes).log()

    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output with shifted logits (B, C)."""
        logits = output.logits.float()
        return output._replace(logits=logits + self.shifts.to(logits))
