"""Probabilities as confident as they are right."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.callbacks.fitting import Weighting, image_weights, minimise, unseen_answers
from ltr.callbacks.unseen import NotUnseenError
from ltr.contracts import Output
from ltr.data import LongTailed
from ltr.errors import InputError, advice
from ltr.methods.method import Adjustment, Method

RANGE = (0.05, 20.0)


class TemperatureScaling(Adjustment):
    """Divide the logits by a temperature: z / T, of all images or of those that are predicted as a class.

    The order of the classes within an image stays, and so do all recalls; only the probabilities change. The
    adjustments before this one in the list act first, also on the images that it is fitted to.

    A temperature is fitted by the likelihood of the validation split, which the network must not have seen, and lies
    between 0.05 and 20. With `per_class` there is one for each predicted class. Few validation images are predicted as
    a rare class, and one that is confidently wrong could take its temperature anywhere. So its logarithm is believed
    to be normal around that of the common temperature, log T_c ~ N(log T, spread^2), which adds
    (log(T_c / T) / spread)^2 / 2 to the negative log-likelihood of the images. A class as which no image is predicted
    keeps T.

    Args:
        temperature: a temperature, or one for each class; fitted where none is given.
        per_class: whether one is fitted for each predicted class.
        spread: standard deviation of the logarithm of the temperatures of the classes; 0.5 is a factor of 1.65.
        weighting: what counts the same in the likelihood: all `classes` that occur, as in a balanced test split, or all
            `images`. A validation split that is carved out has fewer images of the rarest classes.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599. For a
        temperature of each class Frenkel and Goldberger, "Network Calibration by Class-based Temperature Scaling",
        EUSIPCO 2021; the prior is ours.
    """

    def __init__(
        self,
        temperature: float | list[float] | None = None,
        *,
        per_class: bool = False,
        spread: float = 0.5,
        weighting: Weighting = "classes",
    ) -> None:
        given = temperature if isinstance(temperature, list) else [1.0 if temperature is None else temperature]
        if not given or min(given) <= 0 or not all(map(math.isfinite, given)):
            raise InputError("temperatures are above 0 and finite.")
        if spread <= 0:
            raise InputError(f"the spread of the temperatures is above 0; it is {spread:g}.")
        self.temperature, self.per_class, self.spread, self.weighting = temperature, per_class, spread, weighting
        self.temperatures = torch.tensor(given, dtype=torch.float64)

    @property
    def settings(self) -> dict[str, Any]:
        """What a result must say of the adjustment."""
        said: dict[str, Any] = {"temperatures": self.temperatures.tolist(), "fitted": self.temperature is None}
        if self.temperature is None:
            said |= {"per_class": self.per_class, "weighting": self.weighting}
            said |= {"spread": self.spread} if self.per_class else {}
        return said

    def prepare(self, method: Method, data: LongTailed) -> None:
        """Fit what is not given.

        Raises:
            InputError: where as many are given as there are not classes, or there are no images to fit them to.
        """
        if self.temperature is not None:
            if len(self.temperatures) not in (1, len(method.counts)):
                raise InputError(
                    f"there are {len(self.temperatures)} temperatures for {len(method.counts)} classes: give one, or "
                    "one for each."
                )
            return
        with advice("Or give a temperature with `--trainer.callbacks.temperature`.", on=NotUnseenError):
            logits, labels = unseen_answers(method, data, self.before(method))
        self.temperatures = self.fit(logits, labels)

    @torch.inference_mode(False)
    def fit(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (1,) the most likely temperature, or (C,) those of the predicted classes.

        Args:
            logits: (N, C) in float64.
            labels: (N,) class indices.
        """
        weights = image_weights(labels, self.weighting)
        predictions = logits.argmax(1)

        def nll(logs: Tensor) -> Tensor:
            return (weights * F.cross_entropy(logits * (-logs).exp()[:, None], labels, reduction="none")).sum()

        common = _clamped(minimise(lambda log: nll(log.expand(len(labels))), logits.new_zeros(1)))
        if not self.per_class:
            return common.exp()

        def posterior(logs: Tensor) -> Tensor:
            return nll(logs[predictions]) + ((logs - common) / self.spread).square().sum() / 2

        return _clamped(minimise(posterior, common.repeat(logits.shape[1]))).exp()

    def adjust(self, method: Method, output: Output) -> Output:
        """Return the output with the logits (B, C) divided."""
        logits = output.logits.float()
        temperatures = self.temperatures.to(logits).expand(logits.shape[1])
        return output._replace(logits=logits / temperatures[logits.argmax(1), None])


def _clamped(logs: Tensor) -> Tensor:
    """Return logarithms of temperatures within RANGE."""
    return logs.clamp(*map(math.log, RANGE))
