"""One progress bar for a whole training."""

from __future__ import annotations

import os
import sys
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from ltr.measures import shown
from ltr.ranges import Checked


class Progress(Checked, ProgressBar):
    """Show the epochs of a training in one line: progress, remaining time, loss and measures of the test split.

    Args:
        title: text before the bar.
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
        """Open the bar at the epoch at which the training starts or is resumed."""
        self.bar = tqdm(
            total=trainer.max_epochs,
            initial=trainer.current_epoch,
            desc=self.title,
            unit="epoch",
            disable=not self.enabled or not trainer.is_global_zero,
            dynamic_ncols=True,
            # A terminal gets a moving bar, a log file a line from time to time: tqdm's own variable sets the interval.
            mininterval=0.5 if sys.stderr.isatty() else float(os.environ.get("TQDM_MININTERVAL", "30")),
        )

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for the end of the epoch: Lightning's bar would print here."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar within a long epoch."""
        if self.bar is not None and self.total_train_batches:
            self.bar.n = round(trainer.current_epoch + (batch_idx + 1) / float(self.total_train_batches), 2)
            self.bar.update(0)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the measures of the previous epoch."""
        self._show_measures(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar with the last measures."""
        if self.bar is not None:
            self._show_measures(trainer)
            self.bar.n = trainer.current_epoch
            self.bar.refresh()
            self.bar.close()

    def _show_measures(self, trainer: Trainer) -> None:
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
