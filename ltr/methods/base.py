"""Measures during training, and the one evaluation path."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer

from ltr import distributed
from ltr.contracts import Answer, Batch, Output
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.metrics import Recalls, Report
from ltr.ranges import Checked, WholeNumber

CHECK_EVERY = 50


class BaseMethod(Checked, LightningModule, ABC):
    """Measure the outputs on every split and report them per epoch.

    Args:
        counts: training images per class.

    Attributes:
        counts: (C,) the same, stored in checkpoints.
        synthetic: (C,) number of synthetic images among them, stored in checkpoints.
        reports: the last report of each split.
        measures: the numbers of this epoch by `split/measure`.
        images: number of images that went through the network in training, over all processes; every view counts, and
            so does every further evaluation of a batch by an optimizer such as `SAM`.
    """

    counts: Tensor
    synthetic: Tensor

    def __init__(self, counts: list[WholeNumber]) -> None:
        super().__init__()
        self.register_buffer("counts", torch.tensor(counts))
        self.register_buffer("synthetic", torch.zeros_like(self.counts))
        self.reports: dict[str, Report] = {}
        self.measures: dict[str, float] = {}
        self.undefined: dict[str, Tensor] = {}
        self.recalls = Recalls(len(counts))
        self.epoch_loss = EpochLoss()
        self.counting = True
        self.images = 0

    @property
    def data(self) -> LongTailed:
        """The data of the current training or evaluation."""
        data = getattr(self.trainer, "datamodule", None)
        assert isinstance(data, LongTailed), "give the trainer a data module: `trainer.fit(method, datamodule=data)`"
        return data

    @property
    def real(self) -> list[int]:
        """Training images per class without the synthetic ones; the shot groups of a report follow from them."""
        counts: list[int] = (self.counts - self.synthetic).tolist()
        return counts

    @property
    def fast_dev_run(self) -> bool:
        """Whether Lightning only tries a few batches and writes nothing."""
        return bool(getattr(self.trainer, "fast_dev_run", False))

    @abstractmethod
    def answer(self, batch: Batch) -> Output:
        """Run a batch."""

    @abstractmethod
    def adjusted(self, output: Output) -> Output:
        """Change an output as the adjustments of the evaluation do."""

    # ---- training

    def begin_epoch(self) -> None:
        """Reset the running measures."""
        self.epoch_loss = EpochLoss()
        self.recalls["train"].reset()
        self.measures = {"train/lr": self.trainer.optimizers[0].param_groups[0]["lr"]}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Count the images of a batch; cached features do not count."""
        views = 0 if batch.features is not None else batch.images.shape[:-3].numel()
        self.batch_images = views * distributed.world()
        self.images += self.batch_images

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
        """Step as `once_counted`."""
        assert optimizer_closure is not None
        super().optimizer_step(epoch, batch_idx, optimizer, self.once_counted(optimizer_closure))

    def once_counted(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """Count a batch once, even if the optimizer evaluates it several times, as `SAM` does."""
        calls = itertools.count()

        def counting_once() -> Any:
            if next(calls) == 0:
                return closure()
            self.images += self.batch_images
            with self.uncounted():
                return closure()

        return counting_once

    def end_epoch(self) -> None:
        """Log the running measures of the epoch."""
        self.epoch_loss.check(epoch=self.current_epoch)
        self.log_measures({"train/loss": self.epoch_loss.mean()})
        self.report("train")

    # ---- evaluation

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Update the measures of a monitored split."""
        name = self.data.monitored[dataloader_idx]
        self.update_metrics(name, self.adjusted(self.answer(batch)), batch.labels)

    def on_validation_epoch_end(self) -> None:
        """Log the measures of the monitored splits."""
        for name in self.data.monitored:
            self.report(name)

    def test_step(self, batch: Batch, batch_idx: int) -> Answer:  # type: ignore[override]
        """Update the measures of the test split."""
        answer = self.predict_step(batch, batch_idx)
        self.update_metrics("test", answer.output, batch.labels)
        return answer

    def on_test_epoch_end(self) -> None:
        """Keep the report of the test split."""
        self.report("test")

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Answer:
        """Return the adjusted output for a batch."""
        return Answer(self.adjusted(self.answer(batch)), batch.labels, batch.indices)

    def update_metrics(self, name: str, output: Output, labels: Tensor) -> None:
        """Update the measures of a split with a batch.

        Args:
            name: the split.
            output: the adjusted output of the network.
            labels: (B,) class indices.
        """
        self.recalls[name].update(output.probabilities, labels)
        self.undefined[name] = self.undefined.get(name, 0) + output.logits.isnan().any(1).sum()

    def extras(self, name: str) -> dict[str, float]:
        """Return further measures of a split, over all processes, and reset them."""
        return {}

    def report(self, name: str) -> None:
        """Compute and log the report of a split, and reset its measures.

        Raises:
            InputError: if the network gave NaN for an image.
        """
        if name in self.undefined:
            check_defined(distributed.total(self.undefined.pop(name)), f"the {name} split")
        self.reports[name] = Report.of(self.recalls[name], self.real, extras=self.extras(name))
        self.recalls[name].reset()
        self.log_measures({f"{name}/{key}": value for key, value in self.reports[name].scalars().items()})

    def log_measures(self, measures: dict[str, float]) -> None:
        """Log measures, and keep them in full precision for the curves of the run."""
        self.measures |= measures
        self.log_dict(measures)


def check_defined(images: Tensor | int, where: str) -> None:
    """Raise `InputError` if there are images for which a network gave NaN: any measure of them would mean nothing.

    Args:
        images: how many they are.
        where: what they are images of.
    """
    if images:
        raise InputError(
            f"the network gives NaN for {int(images)} images of {where}: its training diverged, its weights are "
            "damaged, or an adjustment has too large a value."
        )


class EpochLoss:
    """The mean loss of an epoch; stops the training if a batch has a loss that is not finite.

    The losses stay on their device until they are needed, since reading one waits for a GPU.
    """

    def __init__(self) -> None:
        self.values: list[Tensor] = []
        self.sizes: list[int] = []
        self.checked = 0

    def add(self, value: Tensor, size: int, *, epoch: int) -> None:
        """Add the mean loss of a batch.

        Args:
            value: (), the mean.
            size: samples in the batch.
            epoch: for the error.

        Raises:
            InputError: as `check` does.
        """
        self.values.append(value.detach())
        self.sizes.append(size)
        # Reading a value waits for a GPU, and costs nothing on a CPU.
        if value.device.type == "cpu" or len(self.values) % CHECK_EVERY == 0:
            self.check(epoch=epoch)

    def check(self, *, epoch: int) -> None:
        """Check the values since the last check.

        Raises:
            InputError: naming the first batch whose loss is not finite.
        """
        fresh = self.values[self.checked :]
        if fresh:
            finite = torch.stack(fresh).isfinite()
            if not finite.all():
                first = int(finite.logical_not().nonzero()[0])
                raise InputError(
                    f"the loss became {fresh[first].item()} in batch {self.checked + first} of epoch {epoch}: lower "
                    "the learning rate, or look at the data. The checkpoint of the last whole epoch is kept."
                )
        self.checked = len(self.values)

    def mean(self) -> float:
        """Return the mean over the samples of all processes."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        values = torch.stack(self.values).cpu().double()
        sums = torch.stack([(values * sizes).sum(), sizes.sum()])
        if distributed.active():
            sums = distributed.total(sums.to(self.values[0].device))
        return float(sums[0] / sums[1])
