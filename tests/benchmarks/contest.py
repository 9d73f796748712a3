"""Time a training against other loops over the same images, epoch by epoch."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from loops import LOOPS, Loop

from ltr import files
from ltr.contracts import Batch


class Contest(Callback):
    """Write what a training costs: seconds per image and evaluation, memory, and the seconds of other loops beside it.

    An epoch is a round: the training's own, then as many steps of every other loop, so that whatever else the machine
    does meets all of them alike. The first round is for warming up and does not count. An epoch's seconds are all that
    `ltr fit` does for it, checkpoint and curves included, evaluations apart. The training stops after the last round,
    as if it were the beginning of a whole one.

    Args:
        report: the JSON file to write.
        rounds: how many count.
        against: the loops to compare with: `bare`, `usual`.
    """

    def __init__(self, report: str, *, rounds: int = 5, against: list[str] | None = None) -> None:
        super().__init__()
        self.path, self.rounds, self.against = Path(report), rounds, against or []
        self.threads = torch.get_num_threads()  # a tuning takes fewer
        self.loops: dict[str, Loop] = {}
        self.seconds: dict[str, list[float]] = {}
        self.evaluations: list[float] = []
        self.memory = 0
        self.first_step: float | None = None
        self.start: float | None = None
        self.images = 0
        self.evaluating = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the round before, let the others run, and begin the next."""
        self._end_round(trainer, pl_module)
        self.images, self.evaluating = 0, 0.0
        self.start = self._now(pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the images of a step."""
        self.images += len(batch.labels)
        if self.first_step is None:
            self._now(pl_module)
            self.first_step = time.time()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to time an evaluation."""
        self.evaluation = self._now(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set an evaluation apart from the training."""
        took = self._now(pl_module) - self.evaluation
        self.evaluating += took
        data = trainer.datamodule
        self.evaluations.append(took / sum(len(data.splits[name].labels) for name in data.monitored))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop after the last round."""
        trainer.should_stop = trainer.current_epoch >= self.rounds

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the last round and write the report."""
        self._end_round(trainer, pl_module)
        device = pl_module.device
        files.write_json(
            self.path,
            {
                "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
                "threads": self.threads,
                "precision": trainer.precision,
                "batch_size": trainer.datamodule.batch_size,
                "images": self.images,
                "first_step": self.first_step,
                "memory": self.memory,
                "seconds": {name: took[1:] for name, took in self.seconds.items()},
                "evaluation": self.evaluations[1:],
            },
        )

    def _end_round(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the epoch that has ended, then let every other loop take as many steps."""
        if self.start is None:
            return
        took = self._now(pl_module) - self.start - self.evaluating
        self.seconds.setdefault("ltr", []).append(took / self.images)
        if not self.memory:  # before there is anything else in this process
            self.memory = peak(pl_module.device)
        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        settings = {
            "bf16": trainer.precision == "bf16-mixed",
            "compile": bool(getattr(pl_module, "compile_backbone", False)),
        }
        for name in self.against:
            if name not in self.loops:
                self.loops[name] = LOOPS[name](trainer.datamodule, pl_module.device, **settings)
            start = self._now(pl_module)
            images = self.loops[name](int(trainer.num_training_batches))
            self.seconds.setdefault(name, []).append((self._now(pl_module) - start) / images)
        torch.set_num_threads(threads)

    @staticmethod
    def _now(pl_module: LightningModule) -> float:
        """Return the time once the device has done what it was told."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        return time.perf_counter()


def peak(device: torch.device) -> int:
    """Return the most bytes that were in use so far: of the device's memory, on a CPU of the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
