"""Train the usual stack beside `ltr fit` and compare what both learn."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from loops import Usual, resident

from ltr import files
from ltr.data import LongTailed
from ltr.methods import Method
from ltr.preprocessing import normalise


class Curves(Callback):
    """Write the loss and the top-1 of every epoch of a training, and those of the usual stack on the same images.

    After every epoch of the training the usual stack trains one at the same learning rate, from weights and with random
    numbers of its own, in float32, and is measured on the test split.

    Args:
        report: the JSON file to write.
    """

    def __init__(self, report: str) -> None:
        super().__init__()
        self.path = Path(report)
        self.curves: dict[str, list[dict[str, float]]] = {"ltr": [], "usual": []}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Build the usual stack."""
        self.data: LongTailed = trainer.datamodule
        self.loop = Usual(self.data, pl_module.device, bf16=False, compile=False)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the usual stack follow through the epoch before; take the learning rate of this one."""
        if trainer.current_epoch:
            self._follow(pl_module)
        for group in self.loop.optimizer.param_groups:
            group["lr"] = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the report."""
        self._follow(pl_module)
        files.write_json(self.path, self.curves)

    def _follow(self, pl_module: LightningModule) -> None:
        """Let the usual stack train an epoch; note what both have learned."""
        assert isinstance(pl_module, Method)
        self.loop(len(self.loop.loader))
        own = pl_module.measures
        self.curves["ltr"].append({"loss": own["train/loss"], "top1": own["test/top1"]})
        self.curves["usual"].append({"loss": self.loop.loss, "top1": self.top1()})

    @torch.inference_mode()
    def top1(self) -> float:
        """Return the share of the test images that the network of the usual stack recognises."""
        images, labels = resident(self.data, "test")
        network = self.loop.network.eval()
        mean, std = (torch.tensor(value, device=self.loop.device) for value in (self.data.mean, self.data.std))
        hits = 0
        for some, known in zip(torch.split(images, 500), torch.split(labels, 500), strict=True):
            hits += int((network(normalise(some, mean, std)).argmax(1) == known).sum())
        network.train()
        return hits / len(labels)
