"""The one training loop and the one evaluation path."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ltr import distributed, seeds, weights
from ltr.contracts import Answer, Backbone, Batch, HeadFactory, LossFactory, MixFactory, Output, Schedule, Target, Timed
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.heads import Linear
from ltr.losses import CrossEntropy
from ltr.methods.epoch_loss import EpochLoss
from ltr.metrics import Recalls, Report
from ltr.schedules import Steps


class Method(LightningModule):
    """One network and one loss: `mix -> backbone -> head -> loss`.

    Checkpoints hold the training counts and the fingerprint of the training split, so that priors and shot groups at
    test time are those of the training, whatever the test data.

    Args:
        backbone: images to features.
        counts: training images per class; the command line takes them from the data.
        head: builds the classifier from (dim, classes).
        loss: builds the loss from the counts (C,).
        mix: builds what blends the training batches from the counts (C,), or None. The running measures of a blended
            batch count the label of the larger share.
        optimizer: builds the optimizer from the trainable parameters.
        schedule: the factor of the learning rate per epoch; `Steps` where none is named.
        compile: whether the backbone is compiled with `torch.compile`.
    """

    counts: Tensor
    split: Tensor

    def __init__(
        self,
        backbone: Backbone,
        counts: list[int],
        *,
        head: HeadFactory = Linear,
        loss: LossFactory = CrossEntropy,
        mix: MixFactory | None = None,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=2e-4),
        schedule: Schedule | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("counts", torch.tensor(counts))
        self.register_buffer("split", torch.zeros(32, dtype=torch.uint8))
        self.backbone = backbone
        self.head = head(backbone.dim, len(counts))
        self.loss = loss(self.counts)
        self.mix = mix(self.counts) if mix else None
        self.optimizer, self.schedule, self.compile_backbone = optimizer, schedule or Steps(), compile
        self.adjustments: list[Any] = []
        self.seconds = 0.0
        self.measures: dict[str, float] = {}
        self.reports: dict[str, Report] = {}
        self.counting = True
        self.epoch_loss = EpochLoss()
        self.recalls = Recalls(len(counts))
        if self.mix is not None:
            if not self.loss.mixable:
                raise InputError(f"{type(self.loss).__name__} has no meaning for blended labels: drop the mix.")
            self.mix.attach(self.backbone)

    # ---- the network

    def forward(self, images: Tensor) -> Output:
        """Map images (B, 3, H, W) to an `Output`."""
        output: Output = self.head(self.backbone(images))
        return output

    def answer(self, batch: Batch) -> Output:
        """Run a batch of images, or the head alone on a batch of cached features."""
        output: Output = self.head(batch.features) if batch.features is not None else self(batch.images)
        return output

    def adjusted(self, output: Output) -> Output:
        """Apply what the callbacks vary at test time, in their order."""
        for adjustment in self.adjustments:
            output = adjustment.adjust(self, output)
        return output

    @torch.no_grad()
    def featurise(self, data: LongTailed, name: str, *, augment: bool = False) -> Tensor:
        """Compute the features of a split in float32, each process a part of them.

        Args:
            data: the data module.
            name: the split.
            augment: whether the images are augmented first.

        Returns:
            (N, D) features in the order of the split.
        """
        loader = data.plain(name)
        features = torch.zeros(len(loader.labels), self.backbone.dim, device=self.device)
        self.backbone.eval()
        with self.trainer.precision_plugin.forward_context():
            for batch in loader:
                features[batch.indices] = self.backbone(data.prepare(batch.images, augment=augment)).float()
        return distributed.total(features)

    def predict(self, images: Tensor) -> Output:
        """Answer as every evaluation does: the network, then the adjustments.

        Args:
            images: (B, 3, H, W), normalised.
        """
        return self.adjusted(self(images))

    # ---- training

    def setup(self, stage: str) -> None:
        """Lay the backbone out for the device, and hold what shall stay as it is."""
        if self.backbone.freeze == "all":
            self.head.requires_grad_(False)
        self.backbone.to(memory_format=torch.channels_last)
        if self.compile_backbone:
            self.backbone.compile()

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Take over the classifier that lay with the backbone's weights, where nothing shall be trained.

        Args:
            classifier: its tensors, empty where there were none.
        """
        if self.backbone.freeze == "all":
            weights.load_head(self.head, classifier, remedy="name its kind with `--model.head`")

    def configure_optimizers(self) -> Any:
        """Build the optimizer over what is trainable, and the schedule."""
        trainable = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if not trainable:
            return []
        optimizer: Optimizer = self.optimizer(trainable)
        epochs = self.epochs
        return {"optimizer": optimizer, "lr_scheduler": LambdaLR(optimizer, lambda epoch: self.schedule(epoch, epochs))}

    @property
    def epochs(self) -> int:
        """The number of epochs of the run."""
        return self.trainer.max_epochs or 1

    @property
    def timed(self) -> list[Timed]:
        """The parts that hear the time: loss, mix and data, where there are some."""
        parts = (self.loss, self.mix, getattr(self.trainer, "datamodule", None))
        return [part for part in parts if part is not None]

    def on_fit_start(self) -> None:
        """Load what a fresh training starts from; refuse a switch that would never fire."""
        if self.trainer.ckpt_path is None:  # known here, not yet in `setup`
            self.start(self.backbone.load())
            data = getattr(self.trainer, "datamodule", None)
            if data is not None:
                self.split.copy_(torch.frombuffer(bytearray.fromhex(data.fingerprints["train"]), dtype=torch.uint8))
        if self.trainer.max_epochs == 0:
            return
        if not self.trainer.optimizers:
            raise InputError(
                "there is nothing to train, since everything is frozen: say `--trainer.max_epochs 0` to keep the file "
                "as a run, or `--model.backbone.freeze features`."
            )
        if not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            for part in (self.schedule, *self.timed):
                part.check(self.epochs)
        if self.loss.batch_level and self.trainer.accumulate_grad_batches > 1:
            rank_zero_warn(
                f"{type(self.loss).__name__} is a loss of the whole batch: accumulated over "
                f"{self.trainer.accumulate_grad_batches} batches it is another objective than on one large batch."
            )

    def on_train_epoch_start(self) -> None:
        """Draw as any run of this seed draws in this epoch, and tell every part what time it is."""
        self.clock = time.perf_counter()
        self.epoch_loss = EpochLoss()
        self.recalls["train"].reset()
        self.measures = {"train/lr": self.trainer.optimizers[0].param_groups[0]["lr"]}
        seeds.reseed(self.current_epoch)
        if self.current_epoch == self.epochs - 1:
            self.trainer.check_val_every_n_epoch = 1  # the end of a run is always measured
        for part in self.timed:
            part.set_epoch(self.current_epoch, self.epochs)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of the batch."""
        target = Target(batch.labels)
        if self.mix is not None:
            images, target = self.mix(batch.images, batch.labels)
            batch = batch._replace(images=images)
        output = self.answer(batch)
        value = target.blend(self.loss, output).mean()
        self.count(value, output, target.main)
        if distributed.active():  # the ranks' means count as much as their samples do
            size = value.new_tensor(float(len(batch.labels)))
            value = value * (size * distributed.world() / distributed.total(size))
        return value

    def count(self, value: Tensor, output: Output, labels: Tensor) -> None:
        """Add a batch to the running measures of the epoch.

        Args:
            value: (), its mean loss in this process.
            output: what the network says about it.
            labels: (B,) class indices.
        """
        if self.counting:
            self.epoch_loss.add(value, len(labels), epoch=self.current_epoch)
            self.recalls["train"].update(output.logits.detach().float().softmax(1), labels)

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Look at a batch without leaving a trace in the measures or the running statistics."""
        kept = [(buffer, buffer.clone()) for buffer in self.buffers()]
        self.counting = False
        yield
        self.counting = True
        for buffer, value in kept:
            buffer.copy_(value)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Step; where an optimizer looks at a batch again, as `SAM` does, only the first look counts."""
        assert optimizer_closure is not None
        looks = itertools.count()

        def look() -> Any:
            with self.uncounted() if next(looks) else nullcontext():
                return optimizer_closure()

        super().optimizer_step(epoch, batch_idx, optimizer, look)

    def on_train_epoch_end(self) -> None:
        """Log the running measures of the epoch."""
        self.epoch_loss.check(epoch=self.current_epoch)
        self.note({"train/loss": self.epoch_loss.mean()})
        self.report("train")
        self.seconds += time.perf_counter() - self.clock

    def report(self, name: str) -> None:
        """Conclude what was counted on a split."""
        self.reports[name] = Report.of(self.recalls[name], self.counts.tolist())
        self.recalls[name].reset()
        self.note({f"{name}/{key}": value for key, value in self.reports[name].scalars().items()})

    def note(self, measures: dict[str, float]) -> None:
        """Give measures to the loggers, and keep them as exact as they are for the curves of the run."""
        self.measures |= measures
        self.log_dict(measures)

    # ---- evaluation

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Count the answers on a monitored split."""
        name = self.trainer.datamodule.monitored[dataloader_idx]  # type: ignore[attr-defined]
        output = self.adjusted(self.answer(batch))
        self.recalls[name].update(output.logits.float().softmax(1), batch.labels)

    def on_validation_epoch_end(self) -> None:
        """Log the measures of the monitored splits."""
        for name in self.trainer.datamodule.monitored:  # type: ignore[attr-defined]
            self.report(name)

    def test_step(self, batch: Batch, batch_idx: int) -> Answer:  # type: ignore[override]
        """Count the answers on the test split."""
        answer = self.predict_step(batch, batch_idx)
        self.recalls["test"].update(answer.output.logits.float().softmax(1), batch.labels)
        return answer

    def on_test_epoch_end(self) -> None:
        """Keep the report of the test split."""
        self.report("test")

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Answer:
        """Answer a batch."""
        return Answer(self.adjusted(self.answer(batch)), batch.labels, batch.indices)

    # ---- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the seconds trained so far, evaluations included."""
        checkpoint["seconds"] = self.seconds

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that does not fit, saying why."""
        state = checkpoint["state_dict"]
        if "counts" not in state:
            raise InputError("this is no checkpoint of `ltr`: start from it with `--model.backbone Pretrained`.")
        if len(state["counts"]) != len(self.counts):
            raise InputError(
                f"the checkpoint was trained on {len(state['counts'])} classes, the data have {len(self.counts)}."
            )
        problems = weights.misfits(state, self.state_dict())
        if problems:
            raise InputError(f"the checkpoint is of another model ({'; '.join(problems)}).")
        self.seconds = checkpoint.get("seconds", 0.0)
