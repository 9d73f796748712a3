"""A grid of heads on the same features, trained and measured beside a tuning."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import LBFGS

from ltr import distributed, files
from ltr.callbacks.many_heads import Block, train
from ltr.callbacks.temperature_ensemble import averaged
from ltr.contracts import LossFactory, Output
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.measures import shown
from ltr.methods import Tuning
from ltr.methods.base import Adjustment
from ltr.methods.cached import WATCHING
from ltr.methods.method import MethodCallback
from ltr.metrics import Recall, Report, over_seeds
from ltr.optimizers import SAM
from ltr.ranges import Positive, WholeNumber
from ltr.run.folder import GRID, RIGHT

OLD_HEAD = "old head"  # its name in the table
MEMORY = 2**31  # bytes that the heads of a pass may take; if all take more, there are several passes
PARAMETER = 4 * 4  # its bytes: itself, stacked, its gradient and its momentum, in float32
LOGIT = 6 * 4  # its bytes: itself, its gradient, and what a loss keeps of it
NUMBERS = 2**22  # logits that are measured at once


class HeadGrid(MethodCallback):
    """Train a head per seed, loss and learning rate beside that of a tuning, all of them in one batched pass.

    If the heads take more than 2 GiB, there are several passes, each over a part of them.

    Every head starts like that of the tuning and gets the batches of its seed in the same order, with the same
    optimizer and schedule. So each equals the head of a tuning with that seed, loss and learning rate; what acts on
    the steps of a tuning, such as `MaxNorm`, is refused. The features are shared; those of augmented views depend on
    the seed and are computed for each. The measures of the heads on some splits, alone and in an ensemble with the old
    head, are written to `grid.csv` in the folder of the run, and their means over the seeds are drawn in `front.png`.
    `right.pt` has which images of the first split each head recognises, and how many seconds the heads took for how
    many training images.
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
        self.right: dict[str, Any] = {}

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
        tuning.check_steps("the grid", harmless=WATCHING)
        for optimizer in trainer.optimizers:
            if isinstance(optimizer, (SAM, LBFGS)):
                raise InputError(
                    f"a grid of heads passes each batch once, and {type(optimizer).__name__} needs several for a "
                    "step: use another optimizer, or tune without the grid."
                )
        if tuning.reset and self.seeds(tuning) != [tuning.seed]:
            raise InputError(
                "a head with random weights is drawn when its run is built, so a grid of such heads has one seed: "
                "leave out its `seeds`, or run `ltr tune-grid --separate`."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train and measure the heads. The tuning continues as if there were no grid."""
        if trainer.current_epoch > 0:  # a resumed tuning, whose grid is written
            return
        start, training = time.perf_counter(), 0.0
        tuning = self.tuning
        show = trainer.progress_bar_callback is not None
        measured = [*self.measure_old(tuning)]
        for block in self.blocks(tuning):
            begun = time.perf_counter()
            heads = train(tuning, block, [self.make_losses[name] for name in block.losses], show=show)
            training += time.perf_counter() - begun
            measured += self.measure(tuning, block, heads)
        measured.sort(key=lambda one: one.place)
        self.rows = [one.row for one in measured]
        first = self.splits(tuning.data)[0]
        self.right = {
            "right": torch.stack([one.right for one in measured if one.row["split"] == first]),
            "labels": tuning.data.splits[first].labels.cpu(),
            "seconds": training,
            "images": tuning.epochs * int(trainer.num_training_batches) * tuning.data.batch_size,
        }
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

    def blocks(self, method: Tuning) -> Iterator[Block]:
        """Yield the heads of each pass, as many as fit into the memory."""
        numbers = sum(value.numel() for value in method.head.parameters())
        size = PARAMETER * numbers + LOGIT * method.data.batch_size * len(method.counts)
        return Block(self.seeds(method), self.lrs, [*self.make_losses]).cut(MEMORY // size)

    @torch.no_grad()
    def measure_old(self, method: Tuning) -> Iterator[Measured]:
        """Yield the rows of the old head and of its adjustments, for each seed and split."""
        if not method.old_known:
            return
        for adjustment in self.adjustments.values():
            adjustment.prepare(method, method.data)
        for split_at, split in enumerate(self.splits(method.data)):
            tallies = [Tally(len(method.counts)) for _ in range(1 + len(self.adjustments))]
            for features, labels in parts(method, split):
                old = Output(self.logits(method, method.old_head, features), features)
                adjusted = (one.adjust(method, old).logits.float() for one in self.adjustments.values())
                for tally, logits in zip(tallies, (old.logits, *adjusted), strict=True):
                    tally.add(logits, labels)
            for seed_at, seed in enumerate(self.seeds(method)):
                for at, (name, tally) in enumerate(zip((OLD_HEAD, *self.adjustments), tallies, strict=True)):
                    row = {"split": split, "seed": seed, "loss": name, "lr": None, "t_old": None}
                    yield tally.measured(method, (split_at, seed_at, -1, at), row)

    @torch.no_grad()
    def measure(self, method: Tuning, block: Block, heads: Mapping[str, Tensor]) -> Iterator[Measured]:
        """Yield the rows of heads: each alone, and with each temperature of the old head, on every split."""
        whole = Block(self.seeds(method), self.lrs, [*self.make_losses])
        places = [*product(*(range(len(entries)) for entries in (block.seeds, block.lrs, block.losses)))]
        t_old = [None, *self.t_old] if method.old_known else [None]
        for split_at, split in enumerate(self.splits(method.data)):
            tallies = {(*at, one): Tally(len(method.counts)) for at in places for one in range(len(t_old))}
            for features, labels in parts(method, split):
                old = self.logits(method, method.old_head, features) if method.old_known else None
                for at in places:
                    new = self.logits(method, method.head, features, {name: value[at] for name, value in heads.items()})
                    for one, temperature in enumerate(t_old):
                        both = new if old is None or temperature is None else averaged(new, old / temperature)
                        tallies[(*at, one)].add(both, labels)
            for (seed_at, lr_at, loss_at, one), tally in tallies.items():
                seed, lr, loss = block.seeds[seed_at], block.lrs[lr_at], block.losses[loss_at]
                place = (split_at, whole.seeds.index(seed), whole.lrs.index(lr), whole.losses.index(loss), one)
                row = {"split": split, "seed": seed, "loss": loss, "lr": lr, "t_old": t_old[one]}
                yield tally.measured(method, place, row)

    @staticmethod
    def logits(
        method: Tuning, head: nn.Module, features: Tensor, parameters: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Return the logits (N, C) of a head for features (N, D), with other parameters if they are given."""
        with method.trainer.precision_plugin.forward_context():
            output: Output = functional_call(head, dict(parameters or {}), (features,))
        return output.logits.float()


class Measured(NamedTuple):
    """A row of the table.

    Attributes:
        place: where it stands: by split, seed, learning rate, loss, and temperature of the old head.
        row: its cells.
        right: (N,) which images of the split it recognises.
    """

    place: tuple[int, ...]
    row: dict[str, Any]
    right: Tensor


class Tally:
    """What a head makes of the images of a split, part by part.

    Args:
        classes: number of classes C.
    """

    def __init__(self, classes: int) -> None:
        self.recall, self.right = Recall(classes), list[Tensor]()

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add images with logits (B, C) and labels (B,)."""
        self.recall.to(logits.device).update(logits.softmax(1), labels)
        self.right.append((logits.argmax(1) == labels).cpu())

    def measured(self, method: Tuning, place: tuple[int, ...], row: Mapping[str, Any]) -> Measured:
        """Return the row of the head with its measures."""
        report = Report.of(self.recall, method.training_counts.real).to_json()
        measures = {measure.key: report[measure.key] for measure in shown("main")}
        return Measured(place, {**row, **measures}, torch.cat(self.right))


def parts(method: Tuning, split: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the features (B, D) and labels (B,) of a split, so many that their logits stay in the cache."""
    size = max(NUMBERS // len(method.counts), 1)
    features, labels = method.bank.features[split][0], method.data.splits[split].labels
    return zip(torch.split(features, size), torch.split(labels, size), strict=True)
