"""Fit adjustments to a validation split after training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from ltr.callbacks.answers import logits_of
from ltr.callbacks.unseen import check_unseen
from ltr.counts import per_class
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.methods.base import Adjustment, BaseMethod

Weighting = Literal["classes", "images"]
STEPS = 200  # at most, of L-BFGS


@torch.inference_mode(False)  # an evaluation runs in it, and its tensors have no gradient
def unseen_answers(method: BaseMethod, data: LongTailed, adjustments: Sequence[Adjustment]) -> tuple[Tensor, Tensor]:
    """Return the logits (N, C) in float64 and labels (N,) of an unseen validation split, after the adjustments.

    Raises:
        NotUnseenError: if there is no such split.
        InputError: if a logit is not finite.
    """
    check_unseen(method, data)
    logits = logits_of(method, data, "val", adjustments).double()
    if not bool(logits.isfinite().all()):
        raise InputError(
            "some logits of the validation split are not finite: check that the training did not diverge, or leave out "
            "the adjustments before this one."
        )
    return logits, data.splits["val"].labels.cpu().clone()


def image_weights(labels: Tensor, weighting: Weighting) -> Tensor:
    """Return (N,) weights of mean 1: equal for all `images`, or equal in sum for all `classes` that occur.

    Args:
        labels: (N,) class indices.
        weighting: `images` or `classes`.
    """
    weights = torch.ones(len(labels), dtype=torch.float64)
    if weighting == "classes":
        weights /= per_class(labels, int(labels.max()) + 1)[labels]
    return weights * (len(labels) / weights.sum())


def minimise(objective: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Return the minimiser of a smooth function by L-BFGS.

    Args:
        objective: maps a tensor like `start` to a scalar.
        start: the initial point.
    """
    with torch.inference_mode(False), torch.enable_grad():
        point = start.clone().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [point], max_iter=STEPS, tolerance_grad=1e-8, tolerance_change=1e-12, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            value = objective(point)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return point.detach()
