"""Training on the cached features of a frozen backbone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    DeviceStatsMonitor,
    GradientAccumulationScheduler,
    LearningRateMonitor,
    ModelCheckpoint,
    ProgressBar,
    StochasticWeightAveraging,
    ThroughputMonitor,
    Timer,
)
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from ltr import distributed
from ltr.contracts import Backbone, Batch
from ltr.data import LongTailed
from ltr.data.base import FeatureBank
from ltr.errors import InputError
from ltr.methods.method import Method
from ltr.methods.rates import EpochRates
from ltr.process_state import one_thread
from ltr.ranges import Count, WholeNumber

# Where a callback can act on a step, and callbacks that change steps from elsewhere.
HOOKS = (
    *("on_train_batch_start", "on_train_batch_end", "on_before_backward", "on_after_backward"),
    *("on_before_optimizer_step", "on_before_zero_grad"),
)
CHANGING = (GradientAccumulationScheduler, StochasticWeightAveraging)
# Callbacks that look at steps and change nothing.
WATCHING = (DeviceStatsMonitor, LearningRateMonitor, ThroughputMonitor, Timer)


class Cached(Method):
    """Compute the features of a frozen backbone once and train the head on them.

    The features of the training split and of the monitored splits are cached; the checkpoint has the whole network.

    Args:
        backbone: a `Pretrained` one.
        counts: training images per class; the command line takes them from the data.
        cache: compute the features once; if false, every step runs the backbone on augmented images.
        views: augmented versions of the training split to cache, of which each step draws one per image; 0 caches the
            images without augmentation.
        steps_per_execution: training steps taken in one call of Lightning, which takes about as long around a step on
            features as the step itself. The result is the same.
        **others: the arguments of `Method`.
    """

    fixed_options: tuple[str, ...] = ("mix",)

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[int],
        *,
        cache: bool = True,
        views: WholeNumber = 0,
        steps_per_execution: Count = 1,
        **others: Any,
    ) -> None:
        if views and not cache:
            raise InputError("`--model.views` are of cached features: pass 0, or leave out `--model.cache false`.")
        super().__init__(backbone, counts, mix=None, **others)
        self.cache, self.views, self.steps_per_execution = cache, views, steps_per_execution

    def check_views(self, views: int) -> None:
        """Raise `InputError` if several views of an image would have to be cached."""
        if views > 1 and self.cache and self.views > 0:
            raise InputError("cached features are of one view each: use an augmentation without MultiView.")

    def on_fit_start(self) -> None:
        """Compute the features of the frozen backbone, once."""
        super().on_fit_start()
        if self.steps_per_execution > 1:
            self.check_steps("`--model.steps_per_execution`")
            self.automatic_optimization = False
        if not self.cache:
            return
        if not self.backbone.fixed:
            raise InputError(
                "features that change cannot be cached: pass `--model.cache false`, or freeze the backbone with its "
                "batch norm."
            )
        start, counted = time.perf_counter(), self.images
        data = self.data
        features = {name: self.extract_features(data, name)[None] for name in data.monitored}
        features["train"] = self.training_features(data, self.seed)
        self.bank = FeatureBank(features, self.steps_per_execution)
        self.images = counted or self.images  # a resumed run has counted them
        self.seconds += time.perf_counter() - start

    def configure_callbacks(self) -> list[Callback]:
        """Return the callback that sets the number of threads."""
        return [OneThread()] if self.cache else []

    def training_features(self, data: LongTailed, seed: int) -> Tensor:
        """Return (V, N, D) the features of the training split, in the views that a run with this seed draws."""
        if self.views:  # drawn alike in a resumed run
            draws = [(seed, self.epochs, view) for view in range(self.views)]
            views = [self.extract_features(data, "train", draw=draw) for draw in draws]
        else:
            views = [self.extract_features(data, "train")]
        self.images += len(views) * len(views[0])
        return torch.stack(views)

    def check_steps(self, what: str, *, harmless: tuple[type[Callback], ...] = ()) -> None:
        """Raise `InputError` if something acts on single steps of a training that makes many of them at once.

        Args:
            what: makes many steps at once, for the error.
            harmless: callbacks that may see the steps, or not.
        """
        if not self.cache:
            raise InputError(f"{what} needs the features of all images at once: leave out `--model.cache false`.")
        trainer = self.trainer
        acting = [
            type(callback).__name__
            for callback in trainer.callbacks  # type: ignore[attr-defined]
            if isinstance(callback, CHANGING)
            or (
                not isinstance(callback, (ModelCheckpoint, ProgressBar, *harmless))
                and any(getattr(type(callback), hook) is not getattr(Callback, hook) for hook in HOOKS)
            )
        ]
        options = {
            "`--trainer.accumulate_grad_batches`": trainer.accumulate_grad_batches > 1,
            "`--trainer.gradient_clip_val`": trainer.gradient_clip_val is not None,
            "`--trainer.devices`": distributed.world() > 1,
        }
        for name in [*acting, *(option for option, given in options.items() if given)]:
            raise InputError(f"{name} acts on every single step: leave it out, or {what}.")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of the batch; if several batches come as one, step on each and return the last loss."""
        if self.automatic_optimization:
            return super().training_step(batch, batch_idx)
        size, value = self.data.batch_size, batch.labels
        for start in range(0, len(batch.labels), size):
            single = Batch._make(part if part is None else part[start : start + size] for part in batch)
            value = self.optimizer_in_use.step(self.once_counted(partial(self.closure, single, batch_idx)))
        return value

    def closure(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the gradients of a batch, and return its mean loss."""
        value = super().training_step(batch, batch_idx)
        self.optimizer_in_use.zero_grad()
        self.manual_backward(value)
        return value

    @property
    def optimizer_in_use(self) -> LightningOptimizer:
        """The optimizer."""
        return cast("LightningOptimizer", self.optimizers())

    def on_train_epoch_end(self) -> None:
        """Log the epoch. Under manual optimization Lightning does not step the schedule."""
        super().on_train_epoch_end()
        if not self.automatic_optimization:
            cast("EpochRates", self.lr_schedulers()).step()

    def on_fit_end(self) -> None:
        """Free the features."""
        self.bank = FeatureBank()


class OneThread(Callback):
    """Train the head on one CPU thread, and restore the number of threads at the end, even if the training fails.

    The features are computed before, on all threads.
    """

    def __init__(self) -> None:
        self.state = ExitStack()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switch to one thread."""
        if pl_module.device.type == "cpu":
            self.state.enter_context(one_thread())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the number of threads."""
        self.state.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restore the number of threads."""
        self.on_train_end(trainer, pl_module)
