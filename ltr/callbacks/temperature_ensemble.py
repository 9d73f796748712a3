"""The ensemble of the old and the new head, each at its own temperature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.callbacks.fitting import minimise
from ltr.callbacks.unseen import NotUnseenError, check_unseen
from ltr.contracts import Output
from ltr.counts import per_class
from ltr.data import LongTailed
from ltr.errors import InputError, advice
from ltr.methods import Tuning
from ltr.methods.base import Adjustment, BaseMethod
from ltr.ranges import Positive

RANGE = (0.05, 20.0)


class TemperatureEnsemble(Adjustment):
    """Average the probabilities of the tuned head and of the one it replaced: (softmax(z/t) + softmax(z'/t')) / 2.

    Both heads give plain logits, so the assumed test prior is uniform. The old head is that of the checkpoint with
    which the tuning started.

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
            target = _confidence(new / self.t_new, labels)
            self.t_old = _bisect(lambda t: _confidence(old / t, labels) - target)
        elif self.temperatures == "fitted":
            with advice("Or use `temperatures: matched`.", on=NotUnseenError):
                check_unseen(method, data)
            # An evaluation runs in inference mode, whose tensors have no gradient; copies made outside of it have one.
            with torch.inference_mode(False):
                new, old, labels = (part.clone() for part in self._logits(method, data, "val"))
            logs = minimise(
                lambda logs: _balanced_nll(new / logs[0].exp(), old / logs[1].exp(), labels), torch.zeros(2)
            )
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


def _class_mean(values: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over the present classes of the mean value (N,) in each."""
    present = per_class(labels, int(labels.max()) + 1)
    sums = torch.zeros(len(present), dtype=values.dtype, device=values.device).index_add(0, labels, values)
    return (sums[present > 0] / present[present > 0]).mean()


def _confidence(logits: Tensor, labels: Tensor) -> float:
    """Return the class-balanced mean of the largest probability."""
    return float(_class_mean(logits.softmax(1).amax(1), labels))


def _balanced_nll(new: Tensor, old: Tensor, labels: Tensor) -> Tensor:
    """Return the class-balanced negative log-likelihood of the ensemble of two logits (N, C)."""
    return _class_mean(F.nll_loss(averaged(new, old), labels, reduction="none"), labels)


def _bisect(excess: Callable[[float], float], steps: int = 50) -> float:
    """Return the temperature within RANGE at which a decreasing function crosses 0."""
    low, high = RANGE
    for _ in range(steps):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return math.sqrt(low * high)
