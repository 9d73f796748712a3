"""MaxNorm: an upper bound on the norms of the classifier's rows."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from ltr.callbacks.classifier import linear_classifier
from ltr.errors import InputError, advice
from ltr.methods.method import MethodCallback
from ltr.ranges import Fraction


class MaxNorm(MethodCallback):
    """Shorten every row of a linear classifier to a radius after each step: w_c min(1, radius / ||w_c||).

    The radius lies between the norms of the shortest and the longest row at the start of training, and is fixed from
    then on. The bias does not change. `EMA` must come after it, so that it averages shortened rows.

    Args:
        fraction: 0 for the norm of the shortest row at the start, 1 for that of the longest.

    Reference:
        Alshammari et al., "Long-Tailed Recognition via Weight Balancing", CVPR 2022, https://arxiv.org/abs/2203.14197;
        official code ShadeAlsha/LTR-weight-balancing, utils/regularizers.py, which projects once per epoch; the paper,
        followed here, projects after every step.
    """

    def __init__(self, fraction: Fraction = 0.1) -> None:
        self.fraction = fraction
        self.radius: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the radius, unless it is that of a resumed run.

        Raises:
            InputError: if there is no linear classifier, the radius would be 0, or weights are averaged before.
        """
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        for other in callbacks[: callbacks.index(self)]:
            if isinstance(other, WeightAveraging):
                raise InputError(
                    f"{type(other).__name__} averages rows that `MaxNorm` has not yet shortened: list `MaxNorm` first."
                )
        with advice("Leave out `MaxNorm`."):
            weight = linear_classifier(self.method).weight
        if self.radius is None or trainer.ckpt_path is None:
            self.radius = radius(weight, self.fraction)
        if self.radius == 0:
            raise InputError(
                f"`MaxNorm` would set the classifier to 0: with the fraction {self.fraction:g} its radius is that "
                "of rows that start at 0: start them otherwise, pass a larger fraction, or leave out `MaxNorm`."
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Project the rows."""
        assert self.radius is not None
        project(linear_classifier(self.method).weight, self.radius)

    def state_dict(self) -> dict[str, Any]:
        """Return the radius, for a resumed run."""
        return {"radius": self.radius}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the radius."""
        self.radius = state_dict["radius"]


def radius(weight: Tensor, fraction: float) -> float:
    """Interpolate between the norms of the shortest and the longest row of weights (C, D)."""
    shortest, longest = weight.detach().norm(dim=1).aminmax()
    return float(shortest + fraction * (longest - shortest))


@torch.no_grad()
def project(weight: Tensor, radius: float) -> None:
    """Shorten the rows of weights (C, D) whose norm exceeds the radius, in place."""
    weight.mul_((radius / weight.norm(dim=1, keepdim=True)).clamp(max=1))
