"""A moving average of the weights."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class EMA(WeightAveraging):
    """Evaluate with, and end on, a moving average of the weights: a <- d a + (1 - d) w after every step.

    With n steps averaged, d = min(decay, (1 + n) / (10 + n)), so that a short run does not remember its random start.
    Running statistics are averaged likewise; whole numbers, such as the counts, are copied. The weights of a checkpoint
    are the averaged ones, which every later command uses; those that a resumed run goes on with lie beside them.

    Args:
        decay: d of a long run.

    Reference:
        Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992,
        https://doi.org/10.1137/0330046; the ramp is that of tf.train.ExponentialMovingAverage.
    """

    def __init__(self, decay: float = 0.999) -> None:
        super().__init__(multi_avg_fn=self.blend)
        self.decay = decay

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the average on the device of the training, where the module itself comes only later."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    @torch.no_grad()
    def blend(self, averages: tuple[Tensor, ...], currents: tuple[Tensor, ...], averaged: Tensor | int) -> None:
        """Move averages of one type towards the current values.

        Args:
            averages: what is moved, in place.
            currents: what it moves to.
            averaged: n, how many steps are in the averages.
        """
        steps = int(averaged)
        share = 1 - min(self.decay, (1 + steps) / (10 + steps))
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                average.lerp_(current, share)
            else:
                average.copy_(current)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on where a training ended; an evaluation finds the averaged weights where any run has its weights."""
        if trainer.state.fn == "fit":
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
