"""The training loop of all methods."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import SGD, Optimizer

from ltr import distributed, seeds, trainable
from ltr.contracts import Backbone, Batch, EpochAware, HeadFactory, LossFactory, MixFactory, Output, Schedule, Target
from ltr.counts import Counts, known
from ltr.data import LongTailed
from ltr.data.base import FeatureBank
from ltr.errors import InputError, advice
from ltr.heads import Linear
from ltr.losses import CrossEntropy
from ltr.methods.base import BaseMethod
from ltr.methods.epoch_loss import EpochLoss
from ltr.methods.rates import EpochRates, scaled
from ltr.preprocessing import Preprocessing
from ltr.ranges import Checked, NonNegative, check
from ltr.run import base_weights, weights
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
        train: what of the backbone is trained beside its adapters, while the rest is frozen: `bias` (all biases),
            `norm` (the normalisation layers), or prefixes of parameter names, such as `backbone.layer3`; by default
            what its `freeze` says. A list, or one of them. The head is trained in any case.
        save: what checkpoints have of the network: all weights, or those that the training changes, with a digest of
            the others, which are then read again from where the backbone has them.
        compile: whether the backbone is compiled with `torch.compile`.

    Attributes:
        fixed_options: the options of its bases that a subclass sets itself.
        undecayed: the names of parameters that a subclass trains without weight decay.
        notes: what a training is too short for, a sentence each.
        bank: the cached features of a training, empty if there are none.
        pre_augment_hooks: functions that change a training batch of uint8 images before it is augmented, in order.
            Callbacks append them when a training starts.
        images: number of images that went through the network in training, over all processes; every view counts, and
            so does every further evaluation of a batch by an optimizer such as `SAM`.
        seconds: how long the training has taken, with the evaluations during it.
    """

    fixed_options: tuple[str, ...] = ()
    undecayed: tuple[str, ...] = ()

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[int],
        *,
        head: HeadFactory = Linear,
        loss: LossFactory = CrossEntropy,
        mix: MixFactory | None = None,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=2e-4),
        schedule: Schedule | None = None,
        rates: dict[str, NonNegative] | None = None,
        train: list[str] | str | None = None,
        save: Literal["all", "changed"] = "all",
        compile: bool = False,
    ) -> None:
        super().__init__(backbone, counts, head=head, compile=compile)
        if train is not None:
            self.train_only([train] if isinstance(train, str) else train)
        self.save = save
        self.loss = loss(self.counts)
        self.mix = mix(self.counts) if mix else None
        self.optimizer, self.schedule, self.rates = optimizer, schedule or Steps(), rates or {}
        self.epoch_loss, self.counting = EpochLoss(), True
        self.seconds, self.images = 0.0, 0
        self.notes: list[str] = []
        self.bank = FeatureBank()
        self.validation_interval: int | None = None
        self.pre_augment_hooks: list[Callable[[Batch], Batch]] = []
        if self.mix is not None:
            if not self.loss.mixable:
                raise InputError(f"{type(self.loss).__name__} has no meaning for blended labels: leave out the mix.")
            self.mix.attach(self.backbone)

    # ---- the start of a training

    def train_only(self, words: Sequence[str]) -> None:
        """Let what words (as in `train`) choose of the backbone, and its adapters, be trained; freeze the rest of it.

        Raises:
            InputError: for a word that chooses nothing, or if the whole network is frozen.
        """
        if self.backbone.freeze == "all":
            raise InputError("`--model.backbone.freeze all` trains nothing: leave it out, or `--model.train`.")
        chosen = trainable.chosen(self.backbone, words, "backbone.")
        self.backbone.train_only(chosen.union(self.backbone.adapter_weights))

    def setup(self, stage: str) -> None:
        """Prepare the network, and forget what an earlier training has added."""
        super().setup(stage)
        self.bank, self.pre_augment_hooks = FeatureBank(), []

    def teardown(self, stage: str) -> None:
        """Remove the data, and what the callbacks of this trainer have added."""
        super().teardown(stage)
        self.pre_augment_hooks = []

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
        optimizer = scaled(self.optimizer, trainable, self.rates, undecayed=self.undecayed)
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
        """The parts that depend on the epoch: loss, mix, data and optimizer, as far as there are any."""
        parts = (self.loss, self.mix, getattr(self.trainer, "datamodule", None), *self.trainer.optimizers)
        return [part for part in parts if isinstance(part, EpochAware)]

    def on_fit_start(self) -> None:
        """Load the weights that a new training starts from, and note what it is too short for."""
        check("`--trainer.gradient_clip_val`", self.trainer.gradient_clip_val, NonNegative)
        if self.trainer.precision in ("bf16-true", "16-true"):
            raise InputError(
                f"`--trainer.precision {self.trainer.precision}` rounds counts, priors and small steps of the weights "
                "away: pass `bf16-mixed`, which keeps them in float32."
            )
        self.validation_interval = self.trainer.check_val_every_n_epoch
        data = getattr(self.trainer, "datamodule", None)
        if data is not None:
            self.loss.name_classes(data.classes)
            self.check_views(data.augment.views)
        if self.save == "changed" and not self.backbone.pretraining:
            raise InputError(
                "`--model.save changed` leaves out weights that can be read again, and this network starts from random "
                "ones: leave it out."
            )
        if self.trainer.ckpt_path is None:  # known here, not yet in `setup`
            self.start(self.backbone.load())
            if data is not None:
                data.check_order(self.backbone.classes)
            earlier = self.training_record if self.images else TrainingRecord(complete=True)
            self.training_record = earlier | self.inherited_record()
        if data is not None:
            self.counts.copy_(torch.tensor(data.counts))
            self.synthetic.copy_(torch.tensor(data.counts.synthetic))
        if self.trainer.max_epochs != 0 and not self.fast_dev_run:
            self.record(data)
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

    def record(self, data: LongTailed | None) -> None:
        """Add the training images to the record; warn if a resumed training has new ones."""
        here = TrainingRecord() if data is None else TrainingRecord(data.contents("train"), complete=True)
        begun = self.trainer.ckpt_path is not None and len(self.training_record.images)
        if begun and (new := here.missing_in(self.training_record)):
            rank_zero_warn(
                f"{new:,} of the {len(here.images):,} training images are new to this run: the data have changed "
                "since it was begun. The checkpoint keeps a record of both."
            )
        self.training_record |= here

    def inherited_record(self) -> TrainingRecord:
        """Return the images of the trainings that this one starts from."""
        return self.backbone.training_record

    def check_views(self, views: int) -> None:
        """Raise `InputError` if several views of an image have no meaning."""
        if views > 1 and self.mix is not None:
            raise InputError(f"{type(self.mix).__name__} blends single images: leave out the mix, or the views.")

    # ---- an epoch

    def on_train_epoch_start(self) -> None:
        """Seed the random generators for this epoch, and set the epoch of every part."""
        self.clock = time.perf_counter()
        self.epoch_loss = EpochLoss()
        self.recalls["train"].reset()
        self.measures = {"train/lr": self.trainer.optimizers[0].param_groups[0]["lr"]}
        seeds.reseed(self.seed, self.current_epoch)
        if self.current_epoch == self.epochs - 1:
            # Measure every run at its end: Lightning has no option for that. `on_train_end` restores the interval.
            self.trainer.check_val_every_n_epoch = 1
        for part in self.epoch_aware:
            part.set_epoch(self.current_epoch, self.epochs)

    def prepared(self, batch: Batch) -> Batch:
        """Augment a training batch; preprocess the images of any other; return cached features unchanged."""
        if batch.features is not None or not self.trainer.training:
            return super().prepared(batch)
        for hook in self.pre_augment_hooks:
            batch = hook(batch)
        return batch._replace(images=self.augmented(self.data, batch.images))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Count the images of a batch; cached features do not count."""
        views = 0 if batch.features is not None else batch.images.shape[:-3].numel()
        self.batch_images = views * distributed.world()
        self.images += self.batch_images

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

    def count(self, value: Tensor, output: Output, labels: Tensor) -> None:
        """Add a batch to the running measures of the epoch.

        Args:
            value: (), its mean loss in this process.
            output: the output of the network.
            labels: (B,) class indices.
        """
        if self.counting:
            self.epoch_loss.add(value, len(labels), epoch=self.current_epoch)
            self.recalls["train"].update(output.logits.detach().float().softmax(1), labels)

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Run a batch without changing the measures or the running statistics."""
        kept = [(buffer, buffer.clone()) for buffer in self.buffers()]
        self.counting = False
        try:
            yield
        finally:
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
        """Step as `once_counted`."""
        assert optimizer_closure is not None
        super().optimizer_step(epoch, batch_idx, optimizer, self.once_counted(optimizer_closure))

    def once_counted(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """Count a batch once, even if the optimizer evaluates it several times, as `SAM` does.

        Raises:
            InputError: if it does so with accumulated gradients.
        """
        calls = itertools.count()

        def counting_once() -> Any:
            if next(calls) == 0:
                return closure()
            if self.trainer.accumulate_grad_batches > 1:
                raise InputError(
                    f"{type(self.trainer.optimizers[0]).__name__} evaluates a batch several times in a step, and of "
                    "accumulated batches it would evaluate only the last one again: leave out "
                    "`--trainer.accumulate_grad_batches`, or pass another optimizer."
                )
            self.images += self.batch_images
            with self.uncounted():
                return closure()

        return counting_once

    def on_train_epoch_end(self) -> None:
        """Log the measures of the epoch."""
        self.epoch_loss.check(epoch=self.current_epoch)
        self.log_measures({"train/loss": self.epoch_loss.mean()})
        self.report("train")
        self.seconds += time.perf_counter() - self.clock

    def on_train_end(self) -> None:
        """Restore the validation interval."""
        self.trainer.check_val_every_n_epoch = self.validation_interval

    def evaluation_features(self, name: str) -> Tensor | None:
        """Return (1, N, D) the features of a split that an evaluation reads in place of images, if there are any."""
        return self.bank.features.get(name)

    # ---- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the training record, the preprocessing, and the cost so far: seconds with evaluations, and images."""
        checkpoint["seconds"], checkpoint["images"] = self.seconds, self.images
        self.training_record.write(checkpoint)
        if self.preprocessing is not None:
            self.preprocessing.write(checkpoint)
        checkpoint["classes"] = self.classes
        if self.save == "changed":
            frozen = [name for name, weight in self.backbone.named_parameters() if not weight.requires_grad]
            base_weights.leave_out(checkpoint, [f"backbone.{name}" for name in frozen])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint fits, and read what `on_save_checkpoint` stored.

        Raises:
            InputError: if it does not fit, lacks weights that cannot be read again, or holds numbers that are not
                finite.
        """
        base_weights.restore(checkpoint, self.backbone, "the checkpoint")
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
            self.evaluated.match(classes, Counts.of(state["counts"], state["synthetic"]))


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
