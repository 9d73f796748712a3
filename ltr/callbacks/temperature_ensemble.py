"""The ensemble of the old and the new head, each at its own temperature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.callbacks.fitting import image_weights, minimise
from ltr.callbacks.unseen import NotUnseenError, check_unseen
from ltr.contracts import Output
from ltr.data import LongTailed
from ltr.errors import InputError, advice
from ltr.methods import Tuning
from ltr.methods.base import Adjustment, BaseMethod
from ltr.ranges import Positive

RANGE = (0.05, 20.0)
HALVINGS = 50


class TemperatureEnsemble(Adjustment):
    """Average the probabilities of the tuned head and of the one it replaced: (softmax(z/t) + softmax(z'/t')) / 2.

    Both heads give plain logits, so the assumed test prior is uniform, and only `Views` may come before it. The old
    head is that of the checkpoint with which the tuning started.

    Args:
        t_new: temperature of the new head.
        t_old: temperature of the old head; a value above 1 softens it.
        temperatures: `given` uses both values; `matched` chooses t_old such that both heads are equally confident on
            average over the classes of the training images; `fitted` chooses both by the class-balanced likelihood of
            the validation split, which neither the backbone nor the heads may have seen.

    Reference:
        Du and Wu, "No One Left Behind: Improving the Worst Categories in Long-Tailed Learning", CVPR 2023,
        https://arxiv.org/abs/2303.03630, section on the ensemble. How the paper chooses its temperatures is not known.
    """

    fitted: ClassVar[tuple[str, ...]] = ("t_new", "t_old")
    first: ClassVar[bool] = True

    def __init__(
        self,
        t_new: Positive = 1.0,
        t_old: Positive = 1.0,
        temperatures: Literal["given", "matched", "fitted"] = "given",
    ) -> None:
        self.t_new, self.t_old, self.temperatures = t_new, t_old, temperatures

    @property
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""
        return {"t_new": self.t_new, "t_old": self.t_old, "temperatures": self.temperatures}

    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output with the logarithm of the mean probabilities (B, C) for logits."""
        new = output.logits.float() / self.t_new
        old = self.old_logits(method, output.features) / self.t_old
        return output._replace(logits=averaged(new, old))

    @staticmethod
    def old_logits(method: BaseMethod, features: Tensor) -> Tensor:
        """Return the logits (B, C) of the old head."""
        assert isinstance(method, Tuning)
        logits: Tensor = method.old_head(features).logits.float()
        return logits

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Choose the temperatures."""
        if not isinstance(method, Tuning) or not bool(method.old_known):
            raise InputError(
                "TemperatureEnsemble needs an old head, which this checkpoint does not have: pass the checkpoint of a "
                "`Tuning` run."
            )
        if self.temperatures == "matched":
            new, old, labels = self._logits(method, data, "train")
            weights = image_weights(labels.cpu(), "classes").to(new)
            target = _confidence(new / self.t_new, weights)
            self.t_old = _bisect(lambda t: _confidence(old / t, weights) - target)
        elif self.temperatures == "fitted":
            with advice("Or use `temperatures: matched`.", on=NotUnseenError):
                check_unseen(method, data)
            # An evaluation runs in inference mode, whose tensors have no gradient; copies made outside of it have one.
            with torch.inference_mode(False):
                new, old, labels = (part.clone() for part in self._logits(method, data, "val"))
                weights = image_weights(labels.cpu(), "classes").to(new)

            def nll(logs: Tensor) -> Tensor:
                both = averaged(new / logs[0].exp(), old / logs[1].exp())
                return (weights * F.nll_loss(both, labels, reduction="none")).mean()

            logs = minimise(nll, torch.zeros(2))
            self.t_new, self.t_old = logs.exp().clamp(*RANGE).tolist()

    @torch.no_grad()
    def _logits(self, method: Tuning, data: LongTailed, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits (N, C) of the new and of the old head on a split, and its labels (N,)."""
        features = method.extract_features(data, name)
        return method.head(features).logits.float(), self.old_logits(method, features), data.splits[name].labels


def averaged(new: Tensor, old: Tensor) -> Tensor:
    """Return the logarithm of the mean probabilities (B, C) of two heads, from their logits over their temperatures."""
    both = torch.stack([new.log_softmax(1), old.log_softmax(1)])
    return both.logsumexp(0) - torch.log(torch.tensor(2.0))


def _confidence(logits: Tensor, weights: Tensor) -> float:
    """Return the weighted mean of the largest probability."""
    return float((weights * logits.softmax(1).amax(1)).mean())


def _bisect(excess: Callable[[float], float]) -> float:
    """Return the temperature within RANGE at which a decreasing function crosses 0."""
    low, high = RANGE
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return math.sqrt(low * high)
