"""Exponential moving average of the weights."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from ltr.ranges import BelowOne, Checked


class EMA(Checked, WeightAveraging):
    """Evaluate and save a moving average of the weights: a <- d a + (1 - d) w after every step.

    After n averaged steps d = min(decay, (1 + n) / (10 + n)), so that the random start has no weight in a short run.
    Running statistics are averaged too; integers, such as the counts, are copied. The weights of a checkpoint are the
    averaged ones, which all commands use. The current ones, with which a resumed run continues, are stored beside them.

    Args:
        decay: the limit of d.

    Reference:
        Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992,
        https://doi.org/10.1137/0330046; the ramp is that of tf.train.ExponentialMovingAverage.
    """

    def __init__(self, decay: BelowOne = 0.999) -> None:
        super().__init__(multi_avg_fn=self.blend)
        self.decay = decay

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Create the average on the device of the training; Lightning would move the module only later."""
        pl_module.to(trainer.strategy.root_device)
        super().setup(trainer, pl_module, stage)

    @torch.no_grad()
    def blend(self, averages: tuple[Tensor, ...], currents: tuple[Tensor, ...], averaged: Tensor | int) -> None:
        """Move averages of one type towards the current values.

        Args:
            averages: the averages, changed in place.
            currents: the current values.
            averaged: n, the number of averaged steps.
        """
        steps = int(averaged)
        share = 1 - min(self.decay, (1 + steps) / (10 + steps))
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                average.lerp_(current, share)
            else:
                average.copy_(current)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore both for a resumed training; an evaluation reads the averaged weights as the weights of the run."""
        if trainer.state.fn == "fit":
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
