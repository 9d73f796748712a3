"""Tau-normalisation of the classifier."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.callbacks.classifier import linear_classifier
from ltr.contracts import Output
from ltr.data import LongTailed
from ltr.errors import advice
from ltr.methods.base import Adjustment, BaseMethod
from ltr.ranges import NonNegative


class TauNorm(Adjustment):
    """Divide each row of a linear classifier by a power of its length: logits (w_c / ||w_c||^tau) h + b_c.

    Frequent classes have longer rows. The weights of the run do not change. It replaces the logits, so only `Views`
    may come before it.

    Args:
        tau: 0 changes nothing, 1 gives every row length 1 (L2 normalisation in weight balancing).
        bias: keep b, as BagofTricks-LT and weight balancing do; Kang et al. leave it out.

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020,
        https://arxiv.org/abs/1910.09217; official code facebookresearch/classifier-balancing, tau_norm.py.
    """

    first: ClassVar[bool] = True

    def __init__(self, tau: NonNegative = 1.0, *, bias: bool = True) -> None:
        self.tau, self.bias = tau, bias

    @property
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""
        return {"tau": self.tau, "bias": self.bias}

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Refuse other heads before the evaluation."""
        with advice("Leave out `TauNorm`."):
            linear_classifier(method)

    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output with the logits (B, C) of the normalised weights."""
        classifier = linear_classifier(method)
        weight = tau_normalised(classifier.weight, self.tau)
        return output._replace(logits=F.linear(output.features, weight, classifier.bias if self.bias else None))


def tau_normalised(weight: Tensor, tau: float) -> Tensor:
    """Return weights (C, D), each row divided by the tau-th power of its length; rows of zeros stay zero."""
    lengths = weight.norm(dim=1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
    normalised: Tensor = weight / lengths**tau
    return normalised
