"""Write the folder of a run: config, last checkpoint and curves."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_warn

from ltr import files
from ltr.backbones import pretraining
from ltr.contracts import Backbone
from ltr.machine import device_name, version
from ltr.methods import Method
from ltr.methods.cached import Cached
from ltr.methods.method import MethodCallback
from ltr.run.folder import CHECKPOINT, RunFolder


class Run(MethodCallback, ModelCheckpoint):
    """Keep `config.yaml`, `metrics.csv` and `last.ckpt` of a training in its folder.

    The checkpoint is written after every epoch that ends at least `pause` seconds after the last write, and at the end.
    It contains the config, so the file alone can be tested. The result of a run is its last epoch: nothing is selected.
    `metrics.csv` has a row per epoch; a resumed run keeps the rows of earlier epochs.

    Args:
        folder: the folder of the run.
        config: the resolved config as YAML.
        replaces: whether to delete an existing run in the folder, once the first epoch is over; False from then on.
    """

    pause = 5.0

    def __init__(self, folder: str | Path, config: str = "", *, replaces: bool = False) -> None:
        super().__init__(
            dirpath=folder,
            filename=Path(CHECKPOINT).stem,
            save_top_k=1,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self.run, self.config, self.replaces = RunFolder(Path(folder)), config, replaces
        self.rows: list[dict[str, str]] = []
        self.written: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the classes that its pretraining has, and read the rows of the epochs before a resumed run."""
        super().on_train_start(trainer, pl_module)
        method = self.method
        pretrained_on = pretraining.overlap(method.training_record.sets, method.data.classes)
        if note := pretraining.note(pretrained_on, len(method.counts)):
            rank_zero_warn(note)
        self.rows = [row for row in self.rows if int(row["epoch"]) < trainer.current_epoch]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the checkpoint, and the row of the epoch.

        The checkpoint comes first: it has the config and the curves in it, so that a run can be resumed whenever its
        writing was interrupted, and there is none without a checkpoint.
        """
        measures = {key: "" if math.isnan(value) else repr(value) for key, value in self.method.measures.items()}
        self.rows.append({"epoch": str(trainer.current_epoch), **measures})
        if not self._due(trainer):
            return
        with files.together():
            super().on_train_epoch_end(trainer, pl_module)
            if trainer.is_global_zero:
                self.write(trainer)
        self.replaces, self.written = False, time.monotonic()

    def _due(self, trainer: Trainer) -> bool:
        """Return whether it is time to write, the same in all processes."""
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        last = last or trainer.global_step == trainer.max_steps
        recent = self.written is not None and time.monotonic() - self.written < self.pause
        return bool(trainer.strategy.broadcast(last or not recent))

    def write(self, trainer: Trainer) -> None:
        """Write what is beside the checkpoint, in place of the run that is replaced."""
        if self.replaces and self.run.exists:
            self.run.delete()
        self.replaces = False
        files.write_text(self.run.config_file, self.config)
        if self.rows:
            files.write_csv(self.run.curves_file, self.rows)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):  # a resumed training and the tests log to the same run
                experiment = logger.experiment
                kept = {"id": experiment.id, "project": experiment.project}
                files.write_json(self.run.wandb_file, kept, checksum=True)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Read the rows of a resumed run from the checkpoint, where they are as old as the weights."""
        self.rows = list(checkpoint.get("curves", ()))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store the config, the curves and the provenance in the checkpoint."""
        checkpoint["config"], checkpoint["curves"] = self.config, self.rows
        checkpoint["provenance"] = provenance(trainer, self.method)


def provenance(trainer: Trainer, method: Method) -> dict[str, Any]:
    """Return the description of a training for its results.

    Args:
        trainer: during or after the training.
        method: the network.

    Returns:
        epochs: number of finished epochs; passes: images that went through the network, per training image;
        augmentation, views and experts; starts_from: the checkpoints and the published weights that it
        started from; pretrained_on: the sets that these weights were trained on, and how many of the classes each has;
        device and version;
        notes: what it was too short for.
    """
    data = method.data
    plain = isinstance(method, Cached) and method.cache and method.views == 0
    return {
        "epochs": trainer.current_epoch + 1 if trainer.max_epochs else 0,
        "passes": round(method.images / sum(data.counts), 2),
        "augmentation": "none" if plain else data.augment.title,
        "views": data.augment.views,
        "experts": method.backbone.experts,
        "starts_from": [
            part.pretraining for part in method.modules() if isinstance(part, Backbone) and part.pretraining
        ],
        "pretrained_on": pretraining.overlap(method.training_record.sets, data.classes),
        "device": device_name(trainer.strategy.root_device),
        "version": version(),
        "notes": method.notes,
    }
