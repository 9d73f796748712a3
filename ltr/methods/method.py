"""The training loop of all methods."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.optim import SGD

from ltr import distributed, seeds
from ltr.contracts import (
    Backbone,
    Batch,
    EpochAware,
    HeadFactory,
    LossFactory,
    MixFactory,
    Output,
    Preprocessing,
    Schedule,
    Target,
)
from ltr.counts import known
from ltr.data import LongTailed
from ltr.data.base import FeatureBank
from ltr.errors import InputError, advice
from ltr.heads import Linear
from ltr.losses import CrossEntropy
from ltr.methods.base import BaseMethod
from ltr.methods.rates import EpochRates, scaled
from ltr.ranges import Checked, NonNegative, check
from ltr.run import weights
from ltr.run.training_record import TrainingRecord
from ltr.schedules import Steps


class Method(BaseMethod):
    """One network and one loss: `mix -> backbone -> head -> loss`.

    Checkpoints contain the training counts, so that priors and shot groups at test time do not depend on the test data,
    and a record of the training images, so that a test on some of them is noticed.

    Args:
        backbone: images to features.
        counts: training images per class; the command line takes them from the data.
        head: builds the classifier from (dim, classes).
        loss: builds the loss from the counts (C,).
        mix: builds the mix of training batches from the counts (C,), or None. The running measures of a blended batch
            count the label of the larger share.
        optimizer: builds the optimizer from the trainable parameters.
        schedule: the factor of the learning rate per epoch; `Steps` by default.
        rates: factors of the learning rate by prefix of the parameter names, such as `{backbone: 0.1}` or
            `{head.fc: 0.2}`; the longest prefix counts.
        compile: whether the backbone is compiled with `torch.compile`.

    Attributes:
        fixed_options: the options of its bases that a subclass sets itself.
        preprocessing: from uint8 images to its input, as in its training; None before the first training.
        classes: the names of the classes; empty before the first training.
        adjustments: the adjustments of its outputs, in order. A test, a validation or a prediction takes those among
            the callbacks of its trainer and prepares them; without a trainer, set the list and call `prepare` of each.
        notes: what a training is too short for, a sentence each.
        bank: the cached features of a training, empty if there are none.
        seed: the seed of its draws. It is read when the method is built and when a training or an evaluation starts.
        pre_augment_hooks: functions that change a training batch of uint8 images before it is augmented, in order.
            Callbacks append them when a training starts.
        training_record: the images of this training and of those it started from; unknown before the first training.
    """

    fixed_options: tuple[str, ...] = ()

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
        rates: dict[str, NonNegative] | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__(counts)
        self.backbone = backbone
        self.head = head(backbone.dim, len(counts))
        if self.head.experts not in (1, backbone.experts):
            raise InputError(
                f"the head has {self.head.experts} experts, the backbone {backbone.experts}: pass the same "
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
        self.fitting = False
        self.evaluated: LongTailed | None = None  # the data of an evaluation
        self.adjustments: list[Adjustment] = []
        self.seed = seeds.seed()
        self.notes: list[str] = []
        self.bank = FeatureBank()
        self.validation_interval: int | None = None
        self.pre_augment_hooks: list[Callable[[Batch], Batch]] = []
        if self.mix is not None:
            if not self.loss.mixable:
                raise InputError(f"{type(self.loss).__name__} has no meaning for blended labels: leave out the mix.")
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
    def embedding_size(self) -> int:
        """Return the size P of the embeddings of the head.

        Raises:
            InputError: if the head makes no embeddings.
        """
        embeddings = self.head.eval()(torch.zeros(1, self.head.dim)).embeddings
        self.head.train()
        if embeddings is None:
            raise InputError(
                f"{type(self).__name__} contrasts embeddings, which a {type(self.head).__name__} head does not make: "
                "pass `--model.head Projection`."
            )
        return int(embeddings.shape[-1])

    @torch.no_grad()
    def extract_features(self, data: LongTailed, name: str, *, augment: bool = False) -> Tensor:
        """Compute the features of a split in float32; each process computes a part of them.

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
        """Augment uint8 training images (B, 3, H, W) and turn them into the network's input, possibly in views."""
        return data.prepare(images.to(self.device), augment=True).to(self.dtype)

    def prepared(self, batch: Batch) -> Batch:
        """Augment a training batch; preprocess the images of any other; return cached features unchanged."""
        if batch.features is not None:
            return batch
        if not self.trainer.training:
            return batch._replace(images=self.ready(batch.images))
        for hook in self.pre_augment_hooks:
            batch = hook(batch)
        return batch._replace(images=self.augmented(self.data, batch.images))

    def predict(self, images: Tensor) -> Output:
        """Preprocess images, run the network and adjust the output, as in every evaluation.

        Args:
            images: (B, 3, H, W) uint8, on any device.
        """
        return self.adjusted(self(self.ready(images)))

    def adjusted(self, output: Output) -> Output:
        """Apply the adjustments in their order."""
        for adjustment in self.adjustments:
            output = adjustment.adjust(self, output)
        return output

    # ---- evaluation

    def on_test_start(self) -> None:
        """Prepare the adjustments, in their order, once the weights are loaded."""
        for adjustment in self.adjustments:
            adjustment.prepare(self, self.data)

    on_validation_start = on_predict_start = on_test_start

    def teardown(self, stage: str) -> None:
        """Remove the data, and what the callbacks of this trainer have added."""
        self.adjustments, self.pre_augment_hooks, self.evaluated = [], [], None

    # ---- training

    def setup(self, stage: str) -> None:
        """Read the seed, take the adjustments and the preprocessing, and prepare the backbone."""
        self.seed, self.bank, self.pre_augment_hooks = seeds.seed(), FeatureBank(), []
        self.fitting = stage == "fit"
        callbacks = [] if self.fitting else getattr(self.trainer, "callbacks", [])
        self.adjustments = [callback for callback in callbacks if isinstance(callback, Adjustment)]
        data = getattr(self.trainer, "datamodule", None)
        self.evaluated = None if self.fitting else data
        if data is not None and (self.fitting or self.preprocessing is None):
            self.preprocessing, self.classes = data.preprocessing, list(data.classes)
        if self.backbone.freeze == "all":
            self.head.requires_grad_(False)
        self.prepare_network(self.backbone)

    def prepare_network(self, network: nn.Module) -> None:
        """Store a network channels last, and compile it if `compile` is set.

        Every batch size is compiled on its own: a program for all sizes, which torch makes when it meets the smaller
        last batch of an epoch, was slower than no compilation.
        """
        network.to(memory_format=torch.channels_last)
        if self.compile_backbone:
            network.compile(dynamic=False)

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Load the classifier in the file of the backbone if the whole network is frozen.

        Args:
            classifier: its tensors, empty if the file has none.
        """
        if self.backbone.freeze == "all":
            with advice("Pass its class with `--model.head`.", on=weights.ClassifierError):
                weights.load_head(self.head, classifier)

    def configure_optimizers(self) -> Any:
        """Build the optimizer of the trainable parameters, and the schedule."""
        trainable = {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}
        if not trainable:
            return []
        optimizer = scaled(self.optimizer, trainable, self.rates)
        epochs = self.epochs
        return {
            "optimizer": optimizer,
            "lr_scheduler": EpochRates(optimizer, lambda epoch: self.schedule(epoch, epochs)),
        }

    @property
    def epochs(self) -> int:
        """The number of epochs of the run."""
        return self.trainer.max_epochs or 1

    @property
    def epoch_aware(self) -> list[EpochAware]:
        """The parts that depend on the epoch: loss, mix and data, if there are any."""
        parts = (self.loss, self.mix, getattr(self.trainer, "datamodule", None))
        return [part for part in parts if part is not None]

    def on_fit_start(self) -> None:
        """Load the weights that a new training starts from, and note what it is too short for."""
        check("`--trainer.gradient_clip_val`", self.trainer.gradient_clip_val, NonNegative)
        self.validation_interval = self.trainer.check_val_every_n_epoch
        data = getattr(self.trainer, "datamodule", None)
        if data is not None:
            self.loss.name_classes(data.classes)
            self.check_views(data.augment.views)
        if self.trainer.ckpt_path is None:  # known here, not yet in `setup`
            self.start(self.backbone.load())
            if data is not None:
                data.check_order(self.backbone.classes)
            self.training_record = self.inherited_record()
        if data is not None:
            self.counts.copy_(torch.tensor(data.counts))
            self.synthetic.copy_(torch.tensor(data.synthetic))
        if self.trainer.max_epochs != 0 and not self.fast_dev_run:
            here = TrainingRecord() if data is None else TrainingRecord(data.contents("train"), complete=True)
            begun = self.trainer.ckpt_path is not None and len(self.training_record.images)
            if begun and (new := here.missing_in(self.training_record)):
                rank_zero_warn(
                    f"{new:,} of the {len(here.images):,} training images are new to this run: the data have changed "
                    "since it was begun. The checkpoint keeps a record of both."
                )
            self.training_record |= here
        if self.trainer.max_epochs == 0:
            return
        if not self.trainer.optimizers:
            raise InputError(
                "there is nothing to train, because all weights are frozen: pass `--trainer.max_epochs 0` to keep the "
                "file as a run, or `--model.backbone.freeze features`."
            )
        if (self.trainer.max_epochs or 0) < 0:
            raise InputError(
                "rates and switches are fractions of the run: give its length, `--trainer.max_epochs 200`."
            )
        if not self.fast_dev_run:
            parts = (self.schedule, *self.epoch_aware)
            self.notes = [note for part in parts for note in part.notes(self.epochs)]
            if self.notes:
                rank_zero_warn(f"this run is short: {'; '.join(self.notes)}.")
        if self.loss.batch_level and self.trainer.accumulate_grad_batches > 1:
            rank_zero_warn(
                f"{type(self.loss).__name__} depends on the whole batch: accumulated over "
                f"{self.trainer.accumulate_grad_batches} batches the objective differs from that of one large batch."
            )

    def inherited_record(self) -> TrainingRecord:
        """Return the images of the trainings that this one starts from."""
        return self.backbone.training_record

    def check_views(self, views: int) -> None:
        """Raise `InputError` if several views of an image have no meaning."""
        if views > 1 and self.mix is not None:
            raise InputError(f"{type(self.mix).__name__} blends single images: leave out the mix, or the views.")

    def on_train_epoch_start(self) -> None:
        """Seed the random generators for this epoch, and set the epoch of every part."""
        self.clock = time.perf_counter()
        self.begin_epoch()
        seeds.reseed(self.seed, self.current_epoch)
        if self.current_epoch == self.epochs - 1:
            # Measure every run at its end: Lightning has no option for that. `on_train_end` restores the interval.
            self.trainer.check_val_every_n_epoch = 1
        for part in self.epoch_aware:
            part.set_epoch(self.current_epoch, self.epochs)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of the batch."""
        target = Target(batch.labels)
        if self.mix is not None:
            images, target = self.mix(batch.images, batch.labels)
            batch = batch._replace(images=images)
        output = self.answer(batch)
        return self.reduce(self.values(output, target, batch), output, target.main)

    def values(self, output: Output, target: Target, batch: Batch) -> Tensor:
        """Return (B,) the values whose mean is minimised: the loss.

        Args:
            output: the output of the network for a batch.
            target: the labels of the batch.
            batch: its images as the network saw them, blended if there is a mix.
        """
        return target.blend(self.loss, output)

    def reduce(self, values: Tensor, output: Output, labels: Tensor) -> Tensor:
        """Update the running measures with a batch and return its mean loss, weighted for a distributed run.

        Args:
            values: (B,) the losses of the batch.
            output: the output of the network.
            labels: (B,) class indices against which the predictions are counted.
        """
        value = values.mean()
        self.count(value, output, labels)
        return distributed.ddp_weighted(value, len(labels))

    def on_train_epoch_end(self) -> None:
        """Log the measures of the epoch."""
        self.end_epoch()
        self.seconds += time.perf_counter() - self.clock

    def on_train_end(self) -> None:
        """Restore the validation interval."""
        self.trainer.check_val_every_n_epoch = self.validation_interval

    # ---- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the training record, the preprocessing, and the cost so far: seconds with evaluations, and images."""
        checkpoint["seconds"], checkpoint["images"] = self.seconds, self.images
        self.training_record.write(checkpoint)
        if self.preprocessing is not None:
            self.preprocessing.write(checkpoint)
        checkpoint["classes"] = self.classes

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint fits, and read what `on_save_checkpoint` stored.

        Raises:
            InputError: if it does not fit, or holds numbers that are not finite.
        """
        state = checkpoint["state_dict"]
        if "counts" not in state:
            raise InputError("this is not a checkpoint of `ltr`: start from it with `--model.backbone Pretrained`.")
        if len(state["counts"]) != len(self.counts):
            raise InputError(
                f"the checkpoint was trained on {len(state['counts'])} classes, the data have {len(self.counts)}."
            )
        if self.fitting and "optimizer_states" not in checkpoint:
            raise InputError(
                "the checkpoint has no optimizer state, so its training cannot be resumed: start another training from "
                "it with `--model.backbone Pretrained --model.backbone.checkpoint`."
            )
        done = checkpoint.get("epoch", -1) + 1
        if self.fitting and -1 < (self.trainer.max_epochs or 0) < done:
            raise InputError(f"the run has {done} epochs already: pass `--trainer.max_epochs` with a larger number.")
        problems = weights.misfits(state, self.state_dict())
        if problems:
            raise InputError(f"the checkpoint is of another model ({'; '.join(problems)}).")
        weights.check_finite(state, "the checkpoint")
        known(state["counts"])
        self.seconds, self.images = checkpoint.get("seconds", 0.0), checkpoint.get("images", 0)
        self.training_record = TrainingRecord.read(checkpoint)
        self.preprocessing = Preprocessing.read(checkpoint) or self.preprocessing
        classes = checkpoint.get("classes") or self.classes
        if self.fitting and self.classes and classes != self.classes:
            raise InputError("the training was begun with other classes, or in another order: go on with its own data.")
        self.classes = classes
        if self.evaluated is not None:
            self.evaluated.match(classes, state["counts"].tolist(), state["synthetic"].tolist())


class MethodCallback(Checked, Callback):
    """A callback of a `Method`, which it knows as `method` from the setup on."""

    method: Method

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the method.

        Raises:
            InputError: if the trainer works on another module.
        """
        if not isinstance(pl_module, Method):
            raise InputError(f"{type(self).__name__} needs a method of `ltr`, not a {type(pl_module).__name__}.")
        self.method = pl_module
        super().setup(trainer, pl_module, stage)


class Adjustment(Checked, Callback, ABC):
    """A change of the outputs of a network in validation, test and prediction, never in training.

    Several adjustments act in the order of the list of callbacks.
    """

    @abstractmethod
    def adjust(self, method: Method, output: Output) -> Output:
        """Return the output with adjusted logits (B, C); a pure function once the adjustment is prepared."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""

    def prepare(self, method: Method, data: LongTailed) -> None:
        """Compute what the adjustment needs, once the weights are loaded.

        Raises:
            InputError: if the adjustment has no meaning for the method or the data.
        """

    def before(self, method: Method) -> list[Adjustment]:
        """Return the adjustments that act before this one."""
        return method.adjustments[: method.adjustments.index(self)]
