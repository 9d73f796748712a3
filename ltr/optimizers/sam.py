"""Sharpness-aware minimisation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.optim import SGD, Optimizer

from ltr import milestones
from ltr.contracts import EpochAware
from ltr.errors import InputError
from ltr.ranges import Checked, InnerFraction, NonNegative

TINY = 1e-12


class SAM(Checked, EpochAware, Optimizer):
    """Step along the gradient at w + rho g / ||g||, where g is the gradient at w.

    Every step takes two passes over its batch, with the same random draws in both. State and parameter groups are those
    of the base optimizer, so schedules and checkpoints work as usual. In distributed training g is the synchronised
    gradient. `Method` refuses gradient accumulation, where only the last part would be passed twice. Float16 is refused
    too, because its scaler steps without a closure; bfloat16 works.

    Args:
        params: the parameters.
        base: builds the base optimizer, which takes the step.
        rho: radius of the neighbourhood.
        rho_after: its radius from `start` on; None if it does not change. `Method` sets the epoch; in your own loop,
            call `set_epoch`.
        start: the fraction of training at which `rho_after` starts.

    Attributes:
        radius: the radius of the current epoch.

    Reference:
        Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR 2021,
        https://arxiv.org/abs/2010.01412; official code google-research/sam. For long tails: Rangwani et al., "Escaping
        Saddle Points for Effective Generalization on Class-Imbalanced Data", NeurIPS 2022,
        https://arxiv.org/abs/2212.13827. wang22ti/DDC, cifar_train_sam.py, changes the radius at 0.8 of training.
    """

    def __init__(
        self,
        params: Iterable[Any],
        base: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=2e-4),
        *,
        rho: NonNegative = 0.05,
        rho_after: NonNegative | None = None,
        start: InnerFraction = 0.8,
    ) -> None:
        self.base, self.rho, self.rho_after, self.start, self.radius = base(params), rho, rho_after, start, rho
        super().__init__(self.base.param_groups, self.base.defaults)
        self.state, self.param_groups = self.base.state, self.base.param_groups

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state, which the base optimizer shares."""
        super().load_state_dict(state_dict)
        self.base.state, self.base.param_groups = self.state, self.param_groups

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        self.radius = self.rho
        if self.rho_after is not None and milestones.passed(self.start, epoch, epochs):
            self.radius = self.rho_after

    def notes(self, epochs: int) -> list[str]:
        """Return what `epochs` epochs are too few for."""
        return [] if self.rho_after is None else milestones.notes(self.start, epochs, "the change of the radius")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step.

        Args:
            closure: clears the gradients, recomputes them and returns the loss; called twice.

        Returns:
            The loss at w.

        Raises:
            InputError: if there is no closure.
        """
        if closure is None:
            raise InputError(
                "SAM passes a batch twice, and this step got no closure for it, as with float16: pass "
                "`--trainer.precision bf16-mixed`, or in your own loop `step(closure)`."
            )
        evaluate = torch.enable_grad()(closure)
        devices = {parameter.device.index for parameter in self._parameters() if parameter.is_cuda}
        with torch.random.fork_rng(devices):
            loss = evaluate()
        saved = [(item, item.clone(), item.grad) for item in self._parameters() if item.grad is not None]
        length = torch.stack([gradient.norm() for _, _, gradient in saved]).norm()
        for parameter, _, gradient in saved:
            parameter.add_(gradient * (self.radius / (length + TINY)))
        evaluate()
        for parameter, value, _ in saved:
            parameter.copy_(value)
        self.base.step()
        return loss

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]
