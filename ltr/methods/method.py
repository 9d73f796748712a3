"""The one training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from ltr import distributed, seeds
from ltr.contracts import (
    Backbone,
    Batch,
    HeadFactory,
    LossFactory,
    MixFactory,
    Output,
    Preprocessing,
    Schedule,
    Target,
    Timed,
)
from ltr.data import LongTailed
from ltr.errors import InputError, advice
from ltr.heads import Linear
from ltr.losses import CrossEntropy
from ltr.methods.measured import Measured
from ltr.methods.rates import scaled
from ltr.run import weights
from ltr.run.training_record import TrainingRecord
from ltr.schedules import Steps


class Method(Measured):
    """One network and one loss: `mix -> backbone -> head -> loss`.

    Checkpoints hold the training counts, so that priors and shot groups at test time are those of the training whatever
    the test data, and a record of the training images, so that a test on some of them is noticed.

    Args:
        backbone: images to features.
        counts: training images per class; the command line takes them from the data.
        head: builds the classifier from (dim, classes).
        loss: builds the loss from the counts (C,).
        mix: builds what blends the training batches from the counts (C,), or None. The running measures of a blended
            batch count the label of the larger share.
        optimizer: builds the optimizer from the trainable parameters.
        schedule: the factor of the learning rate per epoch; `Steps` where none is named.
        rates: factors of the learning rate by the beginning of parameter names, such as `{backbone: 0.1}` or
            `{head.fc: 0.2}`; the longest beginning counts.
        compile: whether the backbone is compiled with `torch.compile`.

    Attributes:
        preprocessing: what its images go through, that of the data it was trained on; None before it knows any.
        classes: the names of the classes, likewise; empty before.
        reworks: what callbacks do to the uint8 images of a training batch before they are augmented, in their order.
        training_record: the images of this training and of those it started from; unknown before the first training.
    """

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
        rates: dict[str, float] | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__(counts)
        self.backbone = backbone
        self.head = head(backbone.dim, len(counts))
        if self.head.experts not in (1, backbone.experts):
            raise InputError(
                f"the head is of {self.head.experts} experts, the backbone has {backbone.experts}: give the same "
                "`--model.backbone.experts` and `--model.head.experts`."
            )
        self.loss = loss(self.counts)
        self.mix = mix(self.counts) if mix else None
        self.optimizer, self.schedule, self.rates = optimizer, schedule or Steps(), rates or {}
        self.compile_backbone = compile
        self.seconds = 0.0
        self.training_record = TrainingRecord()
        self.preprocessing: Preprocessing | None = None
        self.classes: list[str] = []
        self.reworks: list[Callable[[Batch], Batch]] = []
        if self.mix is not None:
            if not self.loss.mixable:
                raise InputError(f"{type(self.loss).__name__} has no meaning for blended labels: drop the mix.")
            self.mix.attach(self.backbone)

    # ---- the network

    @classmethod
    def network_config(cls, options: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the backbone and the head of a trained network as configs, for a training that starts from it.

        Args:
            options: of this class, as a config has them.
        """
        return options.get("backbone"), options.get("head")

    def forward(self, images: Tensor) -> Output:
        """Map images (B, 3, H, W), or views of them (B, V, 3, H, W), to an `Output`."""
        output: Output = self.head(self.backbone(images.flatten(0, -4)))
        return output.grouped(images.shape[1]) if images.dim() == 5 else output

    def answer(self, batch: Batch) -> Output:
        """Run a batch of images, or the head alone on a batch of cached features."""
        output: Output = self.head(batch.features) if batch.features is not None else self(batch.images)
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
                images = (
                    data.prepare(batch.images, augment=True).to(self.dtype) if augment else self.ready(batch.images)
                )
                features[batch.indices] = self.backbone(images).float()
        return distributed.total(features)

    def ready(self, images: Tensor) -> Tensor:
        """Turn uint8 images (B, 3, H, W) on any device into the network's input, on its device and in its precision."""
        assert self.preprocessing is not None, "train the network or load its checkpoint first"
        return self.preprocessing(images.to(self.device)).to(self.dtype)

    def augmented(self, data: LongTailed, images: Tensor) -> Tensor:
        """Turn uint8 training images (B, 3, H, W) into the network's input, augmented, perhaps in views."""
        return data.prepare(images.to(self.device), augment=True).to(self.dtype)

    def prepared(self, batch: Batch) -> Batch:
        """Rework and augment a training batch; prepare any other as all images are; leave cached features alone."""
        if batch.features is not None:
            return batch
        if not self.trainer.training:
            return batch._replace(images=self.ready(batch.images))
        for rework in self.reworks:
            batch = rework(batch)
        return batch._replace(images=self.augmented(self.data, batch.images))

    def predict(self, images: Tensor) -> Output:
        """Answer as every evaluation does: preprocessing, network, adjustments.

        Args:
            images: (B, 3, H, W) uint8, on any device.
        """
        return self.adjusted(self(self.ready(images)))

    # ---- training

    def setup(self, stage: str) -> None:
        """Learn how images are prepared, lay the backbone out for the device, and fix what is frozen."""
        data = getattr(self.trainer, "datamodule", None)
        if data is not None and (stage == "fit" or self.preprocessing is None):
            self.preprocessing, self.classes = data.preprocessing, list(data.classes)
        if self.backbone.freeze == "all":
            self.head.requires_grad_(False)
        self.lay_out(self.backbone)

    def lay_out(self, network: nn.Module) -> None:
        """Lay a network out for the device, and compile it where that is asked for.

        Every batch size has a program of its own: one for all of them, which is what torch makes when it meets the
        smaller last batch of an epoch, was slower than none.
        """
        network.to(memory_format=torch.channels_last)
        if self.compile_backbone:
            network.compile(dynamic=False)

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Take over the classifier that lay with the backbone's weights, where nothing shall be trained.

        Args:
            classifier: its tensors, empty where there were none.
        """
        if self.backbone.freeze == "all":
            with advice("Name its kind with `--model.head`.", on=weights.ClassifierError):
                weights.load_head(self.head, classifier)

    def configure_optimizers(self) -> Any:
        """Build the optimizer over what is trainable, and the schedule."""
        trainable = {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}
        if not trainable:
            return []
        optimizer = scaled(self.optimizer, trainable, self.rates)
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
        data = getattr(self.trainer, "datamodule", None)
        if data is not None:
            self.check_views(data.augment.views)
        if self.trainer.ckpt_path is None:  # known here, not yet in `setup`
            self.start(self.backbone.load())
            if data is not None:
                self.synthetic.copy_(torch.tensor(data.synthetic))
            self.training_record = self.inherited_record()
        if self.trainer.max_epochs != 0 and not self.fast_dev_run:
            here = TrainingRecord() if data is None else TrainingRecord(data.contents("train"), complete=True)
            self.training_record |= here
        if self.trainer.max_epochs == 0:
            return
        if not self.trainer.optimizers:
            raise InputError(
                "there is nothing to train, since everything is frozen: say `--trainer.max_epochs 0` to keep the file "
                "as a run, or `--model.backbone.freeze features`."
            )
        if not self.fast_dev_run:
            for part in (self.schedule, *self.timed):
                part.check(self.epochs)
        if self.loss.batch_level and self.trainer.accumulate_grad_batches > 1:
            rank_zero_warn(
                f"{type(self.loss).__name__} is a loss of the whole batch: accumulated over "
                f"{self.trainer.accumulate_grad_batches} batches it is another objective than on one large batch."
            )

    def inherited_record(self) -> TrainingRecord:
        """Return the images of the trainings that this one starts from."""
        return self.backbone.training_record

    def check_views(self, views: int) -> None:
        """Raise `InputError` where several views of an image have no meaning."""
        if views > 1 and self.mix is not None:
            raise InputError(f"{type(self.mix).__name__} blends single images: drop it, or the views of the data.")

    def on_train_epoch_start(self) -> None:
        """Draw as any run of this seed draws in this epoch, and tell every part what time it is."""
        self.clock = time.perf_counter()
        self.begin_epoch()
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
        return self.conclude(self.values(output, target, batch), output, target.main)

    def values(self, output: Output, target: Target, batch: Batch) -> Tensor:
        """Return (B,) what the training lowers the mean of: the loss, here.

        Args:
            output: what the network says about a batch.
            target: what is true of it.
            batch: its images as the network saw them, blended where there is a mix.
        """
        return target.blend(self.loss, output)

    def conclude(self, values: Tensor, output: Output, labels: Tensor) -> Tensor:
        """Count a batch and return its mean loss, in a distributed run such that every sample counts the same.

        Args:
            values: the losses of the batch.
            output: what the network says about it.
            labels: (B,) class indices that its answers are counted against.
        """
        value = values.mean()
        self.count(value, output, labels)
        return distributed.fair(value, len(labels))

    def on_train_epoch_end(self) -> None:
        """Conclude the epoch."""
        self.end_epoch()
        self.seconds += time.perf_counter() - self.clock

    # ---- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the network was trained on, and the cost so far: seconds (evaluations included) and images."""
        checkpoint["seconds"], checkpoint["images"] = self.seconds, self.images
        self.training_record.write(checkpoint)
        if self.preprocessing is not None:
            self.preprocessing.write(checkpoint)
        checkpoint["classes"] = self.classes

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that does not fit, saying why."""
        state = checkpoint["state_dict"]
        if "counts" not in state:
            raise InputError("this is no checkpoint of `ltr`: start from it with `--model.backbone Pretrained`.")
        if len(state["counts"]) != len(self.counts):
            raise InputError(
                f"the checkpoint was trained on {len(state['counts'])} classes, the data have {len(self.counts)}."
            )
        if self._trainer is not None and self._trainer.state.fn == "fit" and "optimizer_states" not in checkpoint:
            raise InputError(
                "the checkpoint has no state of an optimizer, so its training cannot go on: start another from it with "
                "`--model.backbone Pretrained --model.backbone.checkpoint`."
            )
        problems = weights.misfits(state, self.state_dict())
        if problems:
            raise InputError(f"the checkpoint is of another model ({'; '.join(problems)}).")
        self.seconds, self.images = checkpoint.get("seconds", 0.0), checkpoint.get("images", 0)
        self.training_record = TrainingRecord.read(checkpoint)
        self.preprocessing = Preprocessing.read(checkpoint) or self.preprocessing
        self.classes = checkpoint.get("classes") or self.classes
