"""One bar for a whole training."""

from __future__ import annotations

import os
import sys
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from ltr.measures import shown


class Progress(ProgressBar):
    """Show the epochs of a training in one line: how far, how long still, the loss and the measures of the test split.

    Args:
        title: what stands before the bar.
    """

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self.title = title
        self.bar: tqdm[Any] | None = None
        self.enabled = True

    def disable(self) -> None:
        """Show nothing."""
        self.enabled = False

    def enable(self) -> None:
        """Show the bar."""
        self.enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar where the training starts or goes on."""
        self.bar = tqdm(
            total=trainer.max_epochs,
            initial=trainer.current_epoch,
            desc=self.title,
            unit="epoch",
            disable=not self.enabled or not trainer.is_global_zero,
            dynamic_ncols=True,
            # A log file gets a line now and then (tqdm's own variable says how often), a terminal a moving bar.
            mininterval=0.5 if sys.stderr.isatty() else float(os.environ.get("TQDM_MININTERVAL", "30")),
        )

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hold what there is to say until the epoch is over."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move within an epoch, for nets whose epochs are long."""
        if self.bar is not None and self.total_train_batches:
            self.bar.n = round(trainer.current_epoch + (batch_idx + 1) / float(self.total_train_batches), 2)
            self.bar.update(0)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say how the epoch before ended."""
        self._tell(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar with the last measures."""
        if self.bar is not None:
            self._tell(trainer)
            self.bar.n = trainer.current_epoch
            self.bar.refresh()
            self.bar.close()

    def _tell(self, trainer: Trainer) -> None:
        """Write loss and measures behind the bar."""
        measures = trainer.callback_metrics
        words = {"loss": f"{float(measures['train/loss']):.3f}"} if "train/loss" in measures else {}
        split = "val" if any(name.startswith("val/") for name in measures) else "test"  # test is not to be watched
        words |= {
            f"{split} {row.title}": f"{row.scale * float(measures[f'{split}/{row.key}']):.1f}"
            for row in shown("progress")
            if f"{split}/{row.key}" in measures
        }
        if self.bar is not None:
            self.bar.set_postfix(words, refresh=False)
