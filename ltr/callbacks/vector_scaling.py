"""Post-hoc vector scaling."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.callbacks.fitting import Weighting, image_weights, minimise, unseen_answers
from ltr.callbacks.unseen import NotUnseenError
from ltr.contracts import Output
from ltr.data import LongTailed
from ltr.errors import advice
from ltr.methods.base import Adjustment, BaseMethod
from ltr.ranges import Positive


class VectorScaling(Adjustment):
    """Scale and shift the logit of each class: w_c z_c + b_c.

    Unlike a temperature, this changes predictions and recalls: the biases can do what logit adjustment does, from
    validation images instead of training counts. Adjustments earlier in the list act first, also on the images to which
    this one is fitted. (The loss of the same name scales and shifts in training.)

    Both are fitted by the likelihood of the validation split, which the network must not have seen. Two numbers per
    class are many for few images, so log w_c and b_c have a normal prior around 0 (no change), which adds the sum of
    ((log w_c)^2 + b_c^2) / (2 spread^2) to the negative log-likelihood. The logarithm keeps the scales positive.

    Args:
        spread: standard deviation of the prior of log w_c and b_c; towards 0 nothing changes.
        weighting: what has equal weight in the likelihood: all `classes` that occur, as in a balanced test split, or
            all `images`.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599, section
        4.2, without a prior and with scales of any sign.
    """

    fitted: ClassVar[tuple[str, ...]] = ("scale", "bias")
    scale: Tensor
    bias: Tensor

    def __init__(self, spread: Positive = 1.0, *, weighting: Weighting = "classes") -> None:
        self.spread: float = spread
        self.weighting: Weighting = weighting

    @property
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""
        return {
            "spread": self.spread,
            "weighting": self.weighting,
            "scale": self.scale.tolist(),
            "bias": self.bias.tolist(),
        }

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Fit scales and biases."""
        with advice("Or use `LogitAdjustment` instead of `VectorScaling`.", on=NotUnseenError):
            logits, labels = unseen_answers(method, data, self.before(method))
        self.fit(logits, labels)

    @torch.inference_mode(False)
    def fit(self, logits: Tensor, labels: Tensor) -> None:
        """Find the most likely scales and biases.

        Args:
            logits: (N, C) in float64.
            labels: (N,) class indices.
        """
        weights = image_weights(labels, self.weighting)

        def posterior(both: Tensor) -> Tensor:
            log_scale, bias = both
            nll = (weights * F.cross_entropy(log_scale.exp() * logits + bias, labels, reduction="none")).sum()
            return nll + (both / self.spread).square().sum() / 2

        log_scale, self.bias = minimise(posterior, logits.new_zeros(2, logits.shape[1]))
        self.scale = log_scale.exp()

    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output with the logits (B, C) scaled and shifted."""
        logits = output.logits.float()
        return output._replace(logits=self.scale.to(logits) * logits + self.bias.to(logits))
