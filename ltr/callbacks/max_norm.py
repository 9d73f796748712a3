"""A ball that the rows of the classifier may not leave."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ltr.callbacks.classifier import linear_classifier
from ltr.errors import advice


class MaxNorm(Callback):
    """Shorten every row of a linear classifier to a radius after each step: w_c min(1, radius / ||w_c||).

    The radius lies between the shortest and the longest row with which the training starts, and then stays. The bias is
    left alone.

    Args:
        fraction: 0 for the length of the shortest row at the start, 1 for that of the longest.

    Reference:
        Alshammari et al., "Long-Tailed Recognition via Weight Balancing", CVPR 2022, https://arxiv.org/abs/2203.14197;
        official code ShadeAlsha/LTR-weight-balancing, utils/regularizers.py, which projects once per epoch where the
        paper, and this, do so after every step.
    """

    def __init__(self, fraction: float = 0.1) -> None:
        self.fraction = fraction
        self.radius: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle the radius, except where a resumed run has brought one."""
        with advice("Leave out `MaxNorm`."):
            weight = linear_classifier(pl_module).weight
        if self.radius is None:
            self.radius = radius(weight, self.fraction)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Project the rows."""
        assert self.radius is not None
        project(linear_classifier(pl_module).weight, self.radius)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"radius": self.radius}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the radius of the run."""
        self.radius = state_dict["radius"]


def radius(weight: Tensor, fraction: float) -> float:
    """Return the length at a fraction of the way from the shortest to the longest row of weights (C, D)."""
    shortest, longest = weight.detach().norm(dim=1).aminmax()
    return float(shortest + fraction * (longest - shortest))


@torch.no_grad()
def project(weight: Tensor, radius: float) -> None:
    """Shorten the rows of weights (C, D) that are longer than the radius, in place."""
    weight.mul_((radius / weight.norm(dim=1, keepdim=True)).clamp(max=1))
