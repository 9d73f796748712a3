"""Temperature scaling."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.callbacks.fitting import Weighting, image_weights, minimise, unseen_answers
from ltr.callbacks.unseen import NotUnseenError
from ltr.contracts import Output
from ltr.data import LongTailed
from ltr.errors import InputError, advice
from ltr.methods.base import Adjustment, BaseMethod
from ltr.ranges import Positive

RANGE = (0.05, 20.0)


class TemperatureScaling(Adjustment):
    """Divide the logits by a temperature: z / T, with one T for all images or one for each predicted class.

    The predictions, and so all recalls, stay; only the probabilities change. Adjustments earlier in the list act first,
    also on the images to which this one is fitted.

    A temperature is fitted by the likelihood of the validation split, which the network must not have seen, and lies
    between 0.05 and 20. With `per_class` there is one for each predicted class. Few validation images are predicted as
    a rare class, and a single confident mistake could make its temperature extreme. So each has the prior log T_c ~
    N(log T, spread^2) around the common temperature T, which adds (log(T_c / T) / spread)^2 / 2 to the negative
    log-likelihood. A class that is never predicted keeps T.

    Args:
        temperature: a temperature, or one for each class; None to fit it.
        per_class: fit one for each predicted class.
        spread: standard deviation of the prior; 0.5 is a factor of 1.65.
        weighting: what has equal weight in the likelihood: all `classes` that occur, as in a balanced test split, or
            all `images`. A validation split that is carved out has fewer images of the rarest classes.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599. For a
        temperature of each class Frenkel and Goldberger, "Network Calibration by Class-based Temperature Scaling",
        EUSIPCO 2021. The prior is an addition of this project.
    """

    fitted: ClassVar[tuple[str, ...]] = ("temperatures",)

    def __init__(
        self,
        temperature: Positive | list[Positive] | None = None,
        *,
        per_class: bool = False,
        spread: Positive = 0.5,
        weighting: Weighting = "classes",
    ) -> None:
        given = temperature if isinstance(temperature, list) else [1.0 if temperature is None else temperature]
        self.temperature, self.per_class, self.spread, self.weighting = temperature, per_class, spread, weighting
        self.temperatures = torch.tensor(given, dtype=torch.float64)

    @property
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""
        settings: dict[str, Any] = {"temperatures": self.temperatures.tolist(), "fitted": self.temperature is None}
        if self.temperature is None:
            settings |= {"per_class": self.per_class, "weighting": self.weighting}
            settings |= {"spread": self.spread} if self.per_class else {}
        return settings

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Fit the temperatures that are not given.

        Raises:
            InputError: if their number is not that of the classes, or there are no images to fit them to.
        """
        if self.temperature is not None:
            if len(self.temperatures) not in (1, len(method.counts)):
                raise InputError(
                    f"there are {len(self.temperatures)} temperatures for {len(method.counts)} classes: pass one, or "
                    "one for each class."
                )
            return
        with advice("Or pass a temperature with `--trainer.callbacks.temperature`.", on=NotUnseenError):
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

    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output with the logits (B, C) divided."""
        logits = output.logits.float()
        temperatures = self.temperatures.to(logits).expand(logits.shape[1])
        return output._replace(logits=logits / temperatures[logits.argmax(1), None])


def _clamped(logs: Tensor) -> Tensor:
    """Return logarithms of temperatures within RANGE."""
    return logs.clamp(*map(math.log, RANGE))
