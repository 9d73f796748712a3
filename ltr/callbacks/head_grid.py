"""Many heads on the same features, trained together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
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
from ltr.metrics import Recall, Report, over_seeds
from ltr.seeds import Stream


class HeadGrid(Callback):
    """Train a head per seed, loss and learning rate beside the one of a tuning, all of them in one batched pass.

    Every head starts where the tuning's own does and sees the batches of its seed in their order, with the same
    optimizer and schedule, so that each is the head that a tuning with that seed, that loss and that learning rate ends
    with. The features are shared; those of augmented views, which depend on the seed, are computed for each. What the
    heads are worth on the monitored splits, alone and together with the old head, is in `grid.csv` in the folder of the
    run, and their means over the seeds are drawn in `front.png`. The heads themselves are not kept: to have one, tune
    with its seed, loss and learning rate.

    Args:
        losses: builds the losses from the counts (C,), by the names they have in the table. A sum over a batch or over
            samples, with no decision that depends on logits. One that draws takes its numbers from those of augmented
            views, which are then drawn otherwise than in a tuning without it.
        lrs: learning rates.
        t_old: temperatures of the old head, each for one more evaluation of every head as `TemperatureEnsemble`.
        seeds: of the heads; that of the run where none is named. Heads that start anew, with `--model.reset true`, are
            of no other one: a run draws them amid all else that is drawn while it is built.
    """

    def __init__(
        self,
        losses: dict[str, LossFactory],
        lrs: list[float],
        *,
        t_old: list[float] | None = None,
        seeds: list[int] | None = None,
    ) -> None:
        super().__init__()
        if not losses or not lrs:
            raise InputError("a grid has at least one loss and one learning rate.")
        if min([*lrs, *(t_old or [1.0])]) <= 0:
            raise InputError("the learning rates and the temperatures of a grid are above 0.")
        if seeds is not None and (not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds)):
            raise InputError("the seeds of a grid are whole numbers from 0 on, at least one and each of them once.")
        self.make_losses, self.lrs, self.t_old, self.given_seeds = losses, lrs, t_old or [], seeds
        self.rows: list[dict[str, Any]] = []

    def seeds(self, method: Tuning) -> list[int]:
        """Return the seeds of the heads."""
        return [method.seed] if self.given_seeds is None else self.given_seeds

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what cannot be a grid, before anything is computed."""
        if not isinstance(pl_module, Tuning) or not pl_module.cache:
            raise InputError("a grid of heads needs cached features: use it with `Tuning` and `--model.cache true`.")
        if distributed.world() > 1:
            raise InputError("a grid of heads trains in one process: leave out `--trainer.devices`.")
        if pl_module.rates:
            raise InputError("the heads of a grid have learning rates of their own: leave out `--model.rates`.")
        if pl_module.steps_per_execution > 1:
            raise InputError("the heads of a grid take their steps by themselves: leave out `steps_per_execution`.")
        if pl_module.reset and self.seeds(pl_module) != [pl_module.seed]:
            raise InputError(
                "heads that start anew are drawn when a run is built, so that a grid of them has the seed of its run: "
                "leave out its `seeds`, or run `ltr tune-grid --separate`."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train and measure the heads, then let the tuning go on as if nothing had been."""
        assert isinstance(pl_module, Tuning)
        if trainer.current_epoch > 0:  # a resumed tuning, whose grid is there
            return
        start = time.perf_counter()
        data = pl_module.data
        heads = self.fit(pl_module, data, show=trainer.progress_bar_callback is not None)
        self.rows = self.measure(pl_module, data, heads)
        pl_module.seconds += time.perf_counter() - start

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the table and the picture, once the first epoch is over and the run has its folder."""
        assert isinstance(pl_module, Tuning)
        if not self.rows or trainer.current_epoch == 0 or pl_module.fast_dev_run:
            return
        from ltr import plots

        folder = Path(trainer.default_root_dir)
        files.write_csv(folder / "grid.csv", self.rows)
        split = pl_module.data.monitored[0]
        means = over_seeds(row for row in self.rows if row["split"] == split)
        plots.save(plots.front(means), folder / "front.png")
        self.rows = []

    on_train_end = on_train_epoch_start  # where there was one epoch only

    def fit(self, method: Tuning, data: LongTailed, *, show: bool = False) -> dict[str, Tensor]:
        """Train the heads.

        Args:
            method: the tuning, whose head is where all of them start.
            data: its data, with the cached features.
            show: whether there is a bar.

        Returns:
            The parameters of the head by name, each (seeds, rates, losses, ...).
        """
        losses = [make(method.counts).to(method.device) for make in self.make_losses.values()]
        several = (len(self.seeds(method)), len(losses))
        groups = [
            {
                name: nn.Parameter(value.detach().expand(*several, *value.shape).clone(), value.requires_grad)
                for name, value in method.head.named_parameters()
            }
            for _ in self.lrs
        ]
        optimizer = method.optimizer(
            [{"params": list(group.values()), "lr": lr} for group, lr in zip(groups, self.lrs, strict=True)]
        )
        epochs = method.epochs
        schedule = LambdaLR(optimizer, lambda epoch: method.schedule(epoch, epochs))
        streams = [Stream(seed) for seed in self.seeds(method)]
        samplers = [data.train_sampler(stream.seed) for stream in streams]
        loaders = [self.loader(method, data, *pair) for pair in zip(samplers, streams, strict=True)]
        title = f"{len(streams) * len(losses) * len(self.lrs)} heads"
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
        """Return a loader over the features that a run of the stream's seed trains on."""
        features = method.bank.features["train"]
        if method.views > 0 and stream.seed != method.seed:
            with stream.drawn():
                features = method.training_features(data, stream.seed)
        return data.loader("train", sampler, data.batch_size, features=features)

    @torch.no_grad()
    def measure(self, method: Tuning, data: LongTailed, heads: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """Return a row for the old head of each seed, then one per head and temperature, on every monitored split."""
        rows = []
        for split in data.monitored:
            features, labels = method.bank.features[split][0], data.splits[split].labels

            def worth(logits: Tensor, labels: Tensor = labels) -> dict[str, object]:
                recall = Recall(logits.shape[1]).to(logits.device)
                recall.update(logits.softmax(1), labels)
                report = Report.of(recall, method.real).to_json()
                return {measure.key: report[measure.key] for measure in shown("main")}

            def logits(own: Mapping[str, Tensor], head: nn.Module, features: Tensor = features) -> Tensor:
                with method.trainer.precision_plugin.forward_context():
                    output: Output = functional_call(head, dict(own), (features,))
                return output.logits.float()

            old = logits({}, method.old_head) if method.old_known else None
            known = {} if old is None else worth(old)
            for place, seed in enumerate(self.seeds(method)):
                if old is not None:
                    rows.append({"split": split, "seed": seed, "loss": "old head", "lr": None, "t_old": None, **known})
                for rate, lr in enumerate(self.lrs):
                    for position, loss in enumerate(self.make_losses):
                        own = {name: value[place, rate, position] for name, value in heads.items()}
                        new = logits(own, method.head)
                        said: dict[str, Any] = {"split": split, "seed": seed, "loss": loss, "lr": lr}
                        rows.append({**said, "t_old": None, **worth(new)})
                        for t_old in self.t_old:
                            if old is not None:
                                rows.append({**said, "t_old": t_old, **worth(averaged(new, old / t_old))})
        return rows
