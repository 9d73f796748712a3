"""Train on the features of a backbone that does not change."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from ltr import distributed, seeds
from ltr.contracts import Backbone, Batch
from ltr.data import LongTailed
from ltr.data.base import FeatureBank
from ltr.errors import InputError
from ltr.methods.method import Method
from ltr.methods.rates import EpochRates


class Cached(Method):
    """Compute the features of a frozen backbone once and train the head on them.

    The training split is cached in `views` augmented versions or, by default, once without augmentation, and the
    monitored splits too. The whole network is saved and tested.

    Args:
        backbone: a `Pretrained` one.
        counts: training images per class.
        cache: whether features are computed once; else every step runs the backbone on augmented images.
        views: augmented versions of the training split to cache, of which each step draws one per image; 0 caches the
            plain images.
        steps_per_execution: how many steps are taken in a row, with nothing done between them: faster, since Lightning
            takes about as long around a step on features as the step itself, and the result is the same.
        **others: the arguments of `Method`.
    """

    def __init__(
        self,
        backbone: Backbone,
        counts: list[int],
        *,
        cache: bool = True,
        views: int = 0,
        steps_per_execution: int = 1,
        **others: Any,
    ) -> None:
        super().__init__(backbone, counts, **others)
        if steps_per_execution < 1:
            raise InputError("an execution is of at least one step: mend `--model.steps_per_execution`.")
        self.cache, self.views, self.steps_per_execution = cache, views, steps_per_execution

    def check_views(self, views: int) -> None:
        """Raise `InputError` where several views of an image cannot be cached."""
        if views > 1 and self.cache and self.views > 0:
            raise InputError("cached features are of one view each: take an augmentation without MultiView.")

    def on_fit_start(self) -> None:
        """Compute the features of the frozen backbone, once."""
        super().on_fit_start()
        if self.steps_per_execution > 1:
            self.check_rows()
            self.automatic_optimization = False
        if not self.cache:
            return
        if self.backbone.freeze == "none" or self.backbone.shift_bn:
            raise InputError(
                "features that change cannot be cached: pass `--model.cache false`, or freeze the backbone, its batch "
                "norm included."
            )
        start = time.perf_counter()
        data = self.data
        features = {name: self.extract_features(data, name)[None] for name in data.monitored}
        features["train"] = self.training_features(data, self.seed)
        self.bank = FeatureBank(features, self.steps_per_execution)
        self.seconds += time.perf_counter() - start

    def configure_callbacks(self) -> list[Callback]:
        """Return what sets the number of threads."""
        return [OneThread()] if self.cache else []

    def training_features(self, data: LongTailed, seed: int) -> Tensor:
        """Return (V, N, D) the features of the training split, in the views of a run with a seed."""
        seeds.reseed(seed, self.epochs)  # as in an epoch after the last, so that a resumed run caches the same views
        views = [self.extract_features(data, "train", augment=self.views > 0) for _ in range(max(self.views, 1))]
        self.images += len(views) * len(views[0])
        return torch.stack(views)

    def check_rows(self) -> None:
        """Raise `InputError` where something has to be done for every step, so that they cannot be taken in a row."""
        trainer = self.trainer
        hooks = ("on_train_batch_start", "on_train_batch_end")
        acting = [
            type(callback).__name__
            for callback in trainer.callbacks  # type: ignore[attr-defined]
            if not isinstance(callback, (ModelCheckpoint, ProgressBar))
            and any(getattr(type(callback), hook) is not getattr(Callback, hook) for hook in hooks)
        ]
        settings = {
            "`--model.cache false`": not self.cache,
            "`--trainer.accumulate_grad_batches`": trainer.accumulate_grad_batches > 1,
            "`--trainer.gradient_clip_val`": trainer.gradient_clip_val is not None,
            "`--trainer.devices`": distributed.world() > 1,
        }
        for what in [*acting, *(setting for setting, said in settings.items() if said)]:
            raise InputError(f"{what} is about every single step: leave it out, or `--model.steps_per_execution`.")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of the batch; where several come as one, take their steps, for the loss of the last."""
        if self.automatic_optimization:
            return super().training_step(batch, batch_idx)
        size, value = self.data.batch_size, batch.labels
        for start in range(0, len(batch.labels), size):
            one = Batch._make(part if part is None else part[start : start + size] for part in batch)
            value = self.optimizer_in_use.step(self.once_counted(partial(self.closure, one, batch_idx)))
        return value

    def closure(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of a batch, once the gradients are its own."""
        value = super().training_step(batch, batch_idx)
        self.optimizer_in_use.zero_grad()
        self.manual_backward(value)
        return value

    @property
    def optimizer_in_use(self) -> LightningOptimizer:
        """The one optimizer of the training."""
        return cast("LightningOptimizer", self.optimizers())

    def on_train_epoch_end(self) -> None:
        """Conclude the epoch; after steps in a row the schedule is ours to move."""
        super().on_train_epoch_end()
        if not self.automatic_optimization:
            cast("EpochRates", self.lr_schedulers()).step()

    def on_fit_end(self) -> None:
        """Let the features go."""
        self.bank = FeatureBank()


class OneThread(Callback):
    """Train on one thread of a CPU, and put the number back at the end, even if the training fails.

    The arithmetic of a head is too small to share between threads: they would spend more time waiting than computing.
    The features are computed before, on all threads.
    """

    def __init__(self) -> None:
        self.threads: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go over to one thread."""
        if pl_module.device.type == "cpu":
            self.threads = torch.get_num_threads()
            torch.set_num_threads(1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the number back."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
            self.threads = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Put the number back."""
        self.on_train_end(trainer, pl_module)
