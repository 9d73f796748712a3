"""Predictions for another class distribution than that of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor

from ltr.callbacks import priors
from ltr.callbacks.answers import logits_of
from ltr.callbacks.fitting import unseen_answers
from ltr.callbacks.unseen import NotUnseenError
from ltr.contracts import Output
from ltr.data import LongTailed, Shift
from ltr.errors import advice
from ltr.methods.base import Adjustment, BaseMethod
from ltr.ranges import AtLeastOne, NonNegative

FINE = 10**9  # images per class, so many that rounding to whole images has no effect


class Retarget(Adjustment):
    """Predict for another class prior than that of the logits: z + log target - log source.

    Args:
        prior: the target. A list of shares or counts, one per class; `forward`, `backward` or `uniform`, the prior of
            an infinite test set of that name (see `Shift`); or an estimate from all test images without their labels:
            `em`, from the probabilities, or `bbse`, from the predicted classes and the confusion matrix of a validation
            split that the network has not seen.
        factor: N_max / N_min of `forward` and `backward`.
        assumed: the source: `train`, as after plain cross-entropy, or `uniform`, if the training (balanced softmax,
            GML, LADE) or an earlier adjustment compensates for the counts.

    Reference:
        Hong et al., "Disentangling Label Distribution for Long-tailed Visual Recognition", CVPR 2021,
        https://arxiv.org/abs/2012.00321, for known priors; for the estimates see `priors`.
    """

    source: Tensor
    target: Tensor

    def __init__(
        self,
        prior: list[NonNegative] | Literal["forward", "backward", "uniform", "em", "bbse"] = "uniform",
        *,
        factor: AtLeastOne = 10.0,
        assumed: priors.Assumed = "train",
    ) -> None:
        self.prior, self.factor, self.assumed = prior, factor, assumed

    @property
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""
        settings: dict[str, Any] = {"prior": self.prior, "assumed": self.assumed, "target": self.target.tolist()}
        if self.prior in ("forward", "backward"):
            settings["factor"] = self.factor
        if self.prior in ("em", "bbse"):
            settings["images"] = "test, without labels"
        return settings

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Compute or estimate the target.

        Raises:
            InputError: if the numbers are not a prior, or `bbse` has no validation split.
        """
        counts = method.counts.cpu()
        self.source = priors.assumed_prior(self.assumed, counts)
        if self.prior == "em":
            logits = logits_of(method, data, "test", self.before(method))
            self.target = priors.em(logits.double().softmax(1), self.source)
        elif self.prior == "bbse":
            with advice("Or use `prior: em`.", on=NotUnseenError):
                confusion = unseen_confusion(method, data, self.before(method))
            predictions = logits_of(method, data, "test", self.before(method)).argmax(1)
            self.target = priors.bbse(confusion, predictions, self.source)
        elif isinstance(self.prior, str):
            numbers = Shift(self.prior, self.factor).counts(counts.tolist(), [FINE] * len(counts))
            self.target = priors.normalised(numbers, len(counts))
        else:
            self.target = priors.normalised(self.prior, len(counts))

    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output with log-probabilities (B, C) under the target for logits."""
        return output._replace(logits=priors.retarget(output.logits.float(), self.source, self.target))


def unseen_confusion(method: BaseMethod, data: LongTailed, adjustments: Sequence[Adjustment]) -> Tensor:
    """Return (C, C) the confusion matrix of an unseen validation split after the adjustments, for BBSE.

    Raises:
        NotUnseenError: if there is no such split.
        InputError: if it has no images of a class, or a logit is not finite.
    """
    logits, labels = unseen_answers(method, data, adjustments)
    return priors.confusion_matrix(logits.argmax(1), labels, data.classes)
