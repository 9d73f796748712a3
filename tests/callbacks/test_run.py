"""How often the folder of a run is written."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ltr.backbones import ResNet20
from ltr.callbacks import Run
from ltr.data import Synthetic
from ltr.methods import Method
from ltr.schedules import Cosine

EPOCH = 2.0


class Folder(Callback):
    """Look at a run's folder as every epoch begins, on a clock that an epoch turns."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.now, self.seen = folder, 0.0, list[tuple[int, int]]()
        monkeypatch.setattr("ltr.callbacks.run.time.monotonic", lambda: self.now)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (self.folder / "last.ckpt").is_file():
            self.look()
        self.now += EPOCH

    def look(self) -> None:
        """Note the epoch of the checkpoint and the rows of the curves."""
        epoch = torch.load(self.folder / "last.ckpt", weights_only=True)["epoch"]
        with (self.folder / "metrics.csv").open(newline="") as lines:
            self.seen.append((epoch, len(list(csv.DictReader(lines)))))


@pytest.mark.parametrize(
    ("pause", "written"),
    [(0.0, [0, 1, 2, 3, 4, 5, 6]), (5.0, [0, 0, 0, 3, 3, 3, 6]), (1000.0, [0, 0, 0, 0, 0, 0, 6])],
)
def test_short_epochs_share_a_checkpoint_and_the_last_has_its_own(
    pause: float, written: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "pause", pause)
    folder = tmp_path / "run"
    watch, data = Folder(folder, monkeypatch), Synthetic(batch_size=16)
    trainer = Trainer(
        accelerator="cpu", max_epochs=7, logger=False, enable_progress_bar=False, num_sanity_val_steps=0,
        enable_model_summary=False, callbacks=[watch, Run(folder)],
    )  # fmt: skip
    trainer.fit(Method(ResNet20(width=2), data.counts, schedule=Cosine()), datamodule=data)
    watch.look()
    assert watch.seen == [(epoch, epoch + 1) for epoch in written], "curves and checkpoint are of one epoch"


@pytest.mark.parametrize("stop", ["should_stop", "max_steps"])
def test_an_early_end_is_written(stop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "pause", 1000.0)

    class Stop(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            trainer.should_stop = stop == "should_stop" and trainer.current_epoch == 2

    data = Synthetic(batch_size=16)
    steps = 3 * -(-sum(data.counts) // 16) if stop == "max_steps" else -1
    trainer = Trainer(
        accelerator="cpu", max_epochs=50, max_steps=steps, logger=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, callbacks=[Stop(), Run(tmp_path)],
    )  # fmt: skip
    trainer.fit(Method(ResNet20(width=2), data.counts, schedule=Cosine()), datamodule=data)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 2
