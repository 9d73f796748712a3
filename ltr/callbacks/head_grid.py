"""Many heads on the same features, trained in one pass."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from ltr import distributed, files
from ltr.callbacks.many_heads import batches, stacked, together
from ltr.callbacks.temperature_ensemble import averaged
from ltr.contracts import EpochAware, LossFactory, Output, Sampler
from ltr.data import LongTailed
from ltr.data.loaders import InMemoryLoader
from ltr.errors import InputError
from ltr.measures import shown
from ltr.methods import Tuning
from ltr.methods.base import Adjustment
from ltr.methods.method import MethodCallback
from ltr.metrics import Recall, Report, over_seeds
from ltr.ranges import Positive, WholeNumber
from ltr.run.folder import GRID, RIGHT
from ltr.seeds import Stream

OLD_HEAD = "old head"  # its name in the table
MEMORY = 2**31  # bytes that the heads of a pass may take: in more passes, each of fewer learning rates, if it is more
PARAMETER = 4 * 4  # its bytes: itself, stacked, its gradient and its momentum, in float32
LOGIT = 6 * 4  # its bytes: itself, its gradient, and what a loss keeps of it


class HeadGrid(MethodCallback):
    """Train a head per seed, loss and learning rate beside that of a tuning, all of them in one batched pass.

    If the heads take more than 2 GiB, there are several passes, each over some of the learning rates.

    Every head starts like that of the tuning and gets the batches of its seed in the same order, with the same
    optimizer and schedule. So each equals the head of a tuning with that seed, loss and learning rate. The features are
    shared; those of augmented views depend on the seed and are computed for each. The measures of the heads on some
    splits, alone and in an ensemble with the old head, are written to `grid.csv` in the folder of the run, and their
    means over the seeds are drawn in `front.png`. `right.pt` has which images of the first split each head recognises.
    The heads are not kept: to get one, tune with its seed, loss and learning rate.

    Args:
        losses: builds the losses from the counts (C,), by their names in the table. A loss must be computable with
            `torch.vmap`: no control flow may depend on logits. A loss with random numbers shares the generator with the
            augmented views, which then differ from those of a tuning without that loss.
        lrs: learning rates.
        t_old: temperatures of the old head; each adds an evaluation of every head as `TemperatureEnsemble`.
        adjustments: adjustments of the old head to measure beside the heads, by their names in the table. The head must
            start from the old one.
        splits: the splits to measure; those that the training follows by default.
        seeds: of the heads; that of the run by default. With `--model.reset true` no others are possible, because a run
            draws its head among other numbers when it is built.
    """

    def __init__(
        self,
        losses: dict[str, LossFactory],
        lrs: list[Positive],
        *,
        t_old: list[Positive] | None = None,
        adjustments: dict[str, Adjustment] | None = None,
        splits: list[Literal["val", "test"]] | None = None,
        seeds: list[WholeNumber] | None = None,
    ) -> None:
        super().__init__()
        if not losses or not lrs:
            raise InputError("a grid needs at least one loss and one learning rate.")
        if seeds is not None and (not seeds or len(set(seeds)) < len(seeds)):
            raise InputError("a grid needs at least one seed, and each of them once.")
        self.make_losses, self.lrs, self.t_old, self.given_seeds = losses, lrs, t_old or [], seeds
        self.adjustments, self.given_splits = adjustments or {}, splits
        self.rows: list[dict[str, Any]] = []
        self.right: dict[str, Tensor] = {}

    def seeds(self, method: Tuning) -> list[int]:
        """Return the seeds of the heads."""
        return [method.seed] if self.given_seeds is None else self.given_seeds

    def splits(self, data: LongTailed) -> list[str]:
        """Return the splits that are measured."""
        return list(self.given_splits or data.monitored)

    @property
    def tuning(self) -> Tuning:
        """The tuning.

        Raises:
            InputError: if there is none, or it does not cache its features.
        """
        if not isinstance(self.method, Tuning) or not self.method.cache:
            raise InputError("a grid of heads needs cached features: use it with `Tuning` and `--model.cache true`.")
        return self.method

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a grid that cannot be trained, before anything is computed."""
        tuning = self.tuning
        if distributed.world() > 1:
            raise InputError("a grid of heads trains in one process: leave out `--trainer.devices`.")
        missing = [name for name in self.splits(tuning.data) if name not in tuning.data.splits]
        if missing:
            raise InputError(f"there is no split {missing[0]} to measure: hold images out with `--data.val_per_class`.")
        if tuning.rates:
            raise InputError("a grid of heads has its own learning rates: leave out `--model.rates`.")
        if tuning.steps_per_execution > 1:
            raise InputError("a grid of heads steps on its own: leave out `--model.steps_per_execution`.")
        if tuning.reset and self.seeds(tuning) != [tuning.seed]:
            raise InputError(
                "a head with random weights is drawn when its run is built, so a grid of such heads has one seed: "
                "leave out its `seeds`, or run `ltr tune-grid --separate`."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train and measure the heads. The tuning continues as if there were no grid."""
        if trainer.current_epoch > 0:  # a resumed tuning, whose grid is written
            return
        start = time.perf_counter()
        tuning = self.tuning
        heads = self.fit(tuning, tuning.data, show=trainer.progress_bar_callback is not None)
        self.rows = self.measure(tuning, tuning.data, heads)
        tuning.seconds += time.perf_counter() - start

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the table and the figure, once the first epoch is over and the run has its folder."""
        if not self.rows or trainer.current_epoch == 0 or self.method.fast_dev_run:
            return
        from ltr import plots

        folder = Path(trainer.default_root_dir)
        with files.together():
            files.save(folder / RIGHT, self.right)
            files.write_csv(folder / GRID, self.rows)
        split = self.splits(self.method.data)[0]
        means = over_seeds(row for row in self.rows if row["split"] == split)
        plots.save(plots.front(means), folder / "front.png")
        self.rows, self.right = [], {}

    on_train_end = on_train_epoch_start  # for a training of one epoch

    def fit(self, method: Tuning, data: LongTailed, *, show: bool = False) -> dict[str, Tensor]:
        """Train the heads.

        Args:
            method: the tuning; all heads start from its head.
            data: its data, with the cached features.
            show: show a progress bar.

        Returns:
            The parameters of the head by name, each (seeds, rates, losses, ...).
        """
        numbers = sum(value.numel() for value in method.head.parameters())
        size = PARAMETER * numbers + LOGIT * data.batch_size * len(method.counts)
        at_once = max(MEMORY // (size * len(self.seeds(method)) * len(self.make_losses)), 1)
        passes = [self.lrs[start : start + at_once] for start in range(0, len(self.lrs), at_once)]
        parts = [self.fit_rates(method, data, lrs, show=show) for lrs in passes]
        return {name: torch.cat([part[name] for part in parts], 1) for name in parts[0]}

    def fit_rates(self, method: Tuning, data: LongTailed, lrs: list[float], *, show: bool) -> dict[str, Tensor]:
        """Train the heads of some learning rates, in one pass, as `fit` does."""
        losses = [make(method.counts).to(method.device) for make in self.make_losses.values()]
        for loss in losses:
            loss.name_classes(data.classes)
        several = (len(self.seeds(method)), len(losses))
        groups = [
            {
                name: nn.Parameter(value.detach().expand(*several, *value.shape).clone(), value.requires_grad)
                for name, value in method.head.named_parameters()
            }
            for _ in lrs
        ]
        optimizer = method.optimizer(
            [{"params": list(group.values()), "lr": lr} for group, lr in zip(groups, lrs, strict=True)]
        )
        epochs = method.epochs
        schedule = LambdaLR(optimizer, lambda epoch: method.schedule(epoch, epochs))
        streams = [Stream(seed) for seed in self.seeds(method)]
        samplers = [data.train_sampler(stream.seed) for stream in streams]
        loaders = [self.loader(method, data, *pair) for pair in zip(samplers, streams, strict=True)]
        title = f"{len(streams) * len(losses) * len(lrs)} heads"
        for epoch in tqdm(range(epochs), desc=title, unit="epoch", disable=not show, dynamic_ncols=True):
            parts: list[EpochAware] = [*samplers, *losses]
            for part in parts:
                part.set_epoch(epoch, epochs)
            for batch in batches(loaders, streams, epoch):
                optimizer.zero_grad()
                with method.trainer.precision_plugin.train_step_context():
                    value = together(method.head, stacked(groups), losses, batch, streams)
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            schedule.step()
        return {name: value.detach() for name, value in stacked(groups).items()}

    def loader(self, method: Tuning, data: LongTailed, sampler: Sampler, stream: Stream) -> InMemoryLoader:
        """Return a loader over the training features of a run with the seed of the stream."""
        features = method.bank.features["train"]
        if method.views > 0 and stream.seed != method.seed:
            with stream.drawn():
                features = method.training_features(data, stream.seed)
        return data.training_loader(sampler, features=features)

    @torch.no_grad()
    def measure(self, method: Tuning, data: LongTailed, heads: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """Return a row for the old head of each seed, for each adjustment of it, and for each new head.

        A new head has a row of its own and one for each temperature of the old head, on every split. `right` has which
        images of the first split each row recognises.
        """

        def logits_of(head: nn.Module, parameters: dict[str, Tensor], features: Tensor) -> Tensor:
            with method.trainer.precision_plugin.forward_context():
                output: Output = functional_call(head, parameters, (features,))
            return output.logits.float()

        rows: list[dict[str, Any]] = []
        right: list[Tensor] = []
        for split in (names := self.splits(data)):
            features, labels = method.bank.features[split][0], data.splits[split].labels

            def add(row: dict[str, Any], logits: Tensor, split: str = split, labels: Tensor = labels) -> None:
                rows.append({"split": split, **row, **self.measures(method, logits, labels)})
                if split == names[0]:
                    right.append((logits.argmax(1) == labels).cpu())

            old = logits_of(method.old_head, {}, features) if method.old_known else None
            before = {} if old is None else self.adjusted(method, data, Output(old, features))
            for seed_index, seed in enumerate(self.seeds(method)):
                for name, logits in before.items():
                    add({"seed": seed, "loss": name, "lr": None, "t_old": None}, logits)
                for lr_index, lr in enumerate(self.lrs):
                    for loss_index, loss in enumerate(self.make_losses):
                        head = {name: value[seed_index, lr_index, loss_index] for name, value in heads.items()}
                        new = logits_of(method.head, head, features)
                        row = {"seed": seed, "loss": loss, "lr": lr}
                        add({**row, "t_old": None}, new)
                        if old is not None:
                            for t_old in self.t_old:
                                add({**row, "t_old": t_old}, averaged(new, old / t_old))
        self.right = {"right": torch.stack(right), "labels": data.splits[names[0]].labels.cpu()}
        return rows

    def adjusted(self, method: Tuning, data: LongTailed, old: Output) -> dict[str, Tensor]:
        """Return the logits (N, C) of the old head, and those of each adjustment of it."""
        logits = {OLD_HEAD: old.logits}
        for name, adjustment in self.adjustments.items():
            adjustment.prepare(method, data)
            logits[name] = adjustment.adjust(method, old).logits.float()
        return logits

    @staticmethod
    def measures(method: Tuning, logits: Tensor, labels: Tensor) -> dict[str, object]:
        """Return the measures of logits (N, C) for labels (N,) by their keys."""
        recall = Recall(logits.shape[1]).to(logits.device)
        recall.update(logits.softmax(1), labels)
        report = Report.of(recall, method.training_counts.real).to_json()
        return {measure.key: report[measure.key] for measure in shown("main")}
