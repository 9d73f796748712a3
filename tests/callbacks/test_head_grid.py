"""A grid of heads is what as many tunings would have ended with."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import GradientAccumulationScheduler, StochasticWeightAveraging
from matplotlib.figure import Figure

from ltr.backbones import Pretrained, ResNet20
from ltr.callbacks import EMA, NCM, HeadGrid, LogitAdjustment, MaxNorm, TauNorm, TemperatureEnsemble
from ltr.callbacks.head_grid import Measured
from ltr.callbacks.many_heads import Block
from ltr.data import CropFlip, Synthetic
from ltr.errors import InputError
from ltr.heads import LWS, Cosine, Linear
from ltr.losses import CDT, GML, BalancedSoftmax, CrossEntropy, Deferred, SoftmaxEqualization
from ltr.methods import Method, Tuning
from ltr.methods.base import Adjustment
from ltr.optimizers import SAM
from ltr.samplers import Power

Make = Callable[..., Trainer]
pytestmark = pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")
LOSSES: dict[str, Any] = {
    "GML": GML,
    "LA": BalancedSoftmax,
    "late": partial(Deferred, before=CrossEntropy, after=CDT, start=0.5),
}
DRAWN = {"drawn": partial(SoftmaxEqualization, threshold=0.2)}
LRS = [0.05, 0.4]


class Kept(HeadGrid):
    """A grid that keeps its heads."""

    def measure(self, method: Tuning, block: Block, heads: Mapping[str, torch.Tensor]) -> Iterator[Measured]:
        """Remember the heads of a pass."""
        self.passes = [*getattr(self, "passes", []), (block, heads)]
        return super().measure(method, block, heads)

    @property
    def heads(self) -> Mapping[str, torch.Tensor]:
        """The heads, which were trained in one pass."""
        ((_, heads),) = self.passes
        return heads


def tuned(
    run_file: Path,
    trainer: Make,
    loss: Any,
    lr: float,
    *callbacks: Callback,
    seed: int = 5,
    sampler: Any = Power,
    **options: Any,
) -> Tuning:
    """Return a tuning of three epochs, beside a grid or alone."""
    seed_everything(seed, verbose=False)
    data = Synthetic(batch_size=16, augment=CropFlip(1), sampler=sampler)
    optimizer = partial(torch.optim.SGD, lr=lr, momentum=0.9, weight_decay=0.01)
    method = Tuning(
        Pretrained(str(run_file), ResNet20(width=2)), data.counts, loss=loss, optimizer=optimizer, **options
    )
    trainer(3, callbacks=list(callbacks)).fit(method, datamodule=data)
    return method


OPTIONS = [{}, {"views": 2, "sampler": partial(Power, q=0.0)}, {"head": LWS}, {"head": Cosine, "reset": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_head_is_that_of_a_tuning(run_file: Path, trainer: Make, options: dict[str, Any]) -> None:
    seeds = [5] if "reset" in options else [7, 5]
    losses = LOSSES if "views" in options else LOSSES | DRAWN
    grid = Kept(losses, LRS, seeds=seeds)
    tuned(run_file, trainer, CrossEntropy, 0.1, grid, **options)
    for (place, seed), (position, (name, loss)) in product(enumerate(seeds), enumerate(losses.items())):
        rate = (place + position) % len(LRS)
        alone = tuned(run_file, trainer, loss, LRS[rate], seed=seed, **options)
        for key, value in alone.head.named_parameters():
            found = grid.heads[key][place, rate, position]
            said = f"{seed} {name} {LRS[rate]} {key}"
            torch.testing.assert_close(found, value.detach(), rtol=1e-4, atol=1e-5, msg=said)
    trained = next(grid.heads[key] for key in ("scale", "weight", "fc.weight") if key in grid.heads)
    distances = torch.pdist(trained.flatten(0, 2).flatten(1))
    assert distances.min() > 1e-3, "the heads differ by more than by rounding, or nothing was compared"


@pytest.mark.parametrize(
    ("most", "shapes"),
    [
        (12, [(2, 2, 3), (2, 2, 3), (2, 1, 3)]),
        (3, [(1, 1, 3)] * 10),
        (2, [(1, 1, 2), (1, 1, 1)] * 10),
        (0, [(1, 1, 1)] * 30),
    ],
)
def test_large_heads_are_trained_in_several_passes(
    most: int,
    shapes: list[tuple[int, int, int]],
    run_file: Path,
    trainer: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lrs = [0.05, 0.1, 0.2, 0.4, 0.3]
    whole = Kept(LOSSES, lrs, t_old=[2.0], seeds=[7, 5])
    tuned(run_file, trainer, GML, 0.1, whole)
    table, right = (tmp_path / "grid.csv").read_text(), torch.load(tmp_path / "right.pt")["right"]
    numbers = sum(value[0, 0, 0].numel() for value in whole.heads.values())
    size = 16 * numbers + 24 * 16 * 5  # of a head: batches of 16, five classes
    monkeypatch.setattr("ltr.callbacks.head_grid.MEMORY", most * size)
    parts = Kept(LOSSES, lrs, t_old=[2.0], seeds=[7, 5])
    tuned(run_file, trainer, GML, 0.1, parts)
    assert [tuple(map(len, block)) for block, _ in parts.passes] == shapes
    for block, heads in parts.passes:
        seeds, rates = [[7, 5].index(seed) for seed in block.seeds], [lrs.index(lr) for lr in block.lrs]
        losses = [[*LOSSES].index(name) for name in block.losses]
        for name, value in whole.heads.items():
            torch.testing.assert_close(heads[name], value[seeds][:, rates][:, :, losses], rtol=1e-4, atol=1e-5)
    rows = [line.split(",")[:5] for line in (tmp_path / "grid.csv").read_text().splitlines()]
    assert rows == [line.split(",")[:5] for line in table.splitlines()], "in the same order"
    assert (torch.load(tmp_path / "right.pt")["right"] != right).double().mean() < 0.01


def test_the_tuning_goes_on_as_if_there_were_no_grid(run_file: Path, trainer: Make) -> None:
    beside = tuned(run_file, trainer, GML, 0.1, HeadGrid(LOSSES, LRS, seeds=[1, 5, 2]), views=2)
    alone = tuned(run_file, trainer, GML, 0.1, views=2)
    assert all(torch.equal(value, alone.state_dict()[key]) for key, value in beside.state_dict().items())


def test_the_table_holds_what_a_test_measures(
    run_file: Path, trainer: Make, tmp_path: Path, drawn: dict[str, Figure]
) -> None:
    grid = HeadGrid({"GML": GML}, [0.1], t_old=[2.0], seeds=[4, 5])
    method = tuned(run_file, trainer, GML, 0.1, grid)
    with (tmp_path / "grid.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["seed"] for row in rows] == ["4"] * 3 + ["5"] * 3
    old, new, ensemble = rows[3:]
    assert [(row["loss"], row["t_old"]) for row in (old, new, ensemble)] == [
        ("old head", ""),
        ("GML", ""),
        ("GML", "2.0"),
    ]
    for row, callbacks in ((new, []), (ensemble, [TemperatureEnsemble(t_old=2.0)])):
        trainer(callbacks=callbacks).test(method, datamodule=Synthetic(batch_size=16), verbose=False)
        for key in ("top1", "gm", "hm", "lowest", "ece"):
            assert float(row[key]) == pytest.approx(method.measures[f"test/{key}"], abs=1e-5), key
    plain = Method(Pretrained(str(run_file), ResNet20(width=2), freeze="all"), Synthetic().counts, head=Linear)
    plain.start(plain.backbone.load())
    trainer().test(plain, datamodule=Synthetic(batch_size=16), verbose=False)
    assert float(old["top1"]) == pytest.approx(plain.measures["test/top1"])
    left, right = drawn["front.png"].axes
    for axes, key in ((left, "hm"), (right, "lowest")):
        (star,) = (line for line in axes.lines if line.get_label() == "old head")
        assert star.get_xydata()[0] == pytest.approx([100 * float(old["top1"]), 100 * float(old[key])])
        (point,) = (line for line in axes.lines if line.get_marker() == "o" and line.get_markerfacecolor() != "white")
        means = [100 * statistics.mean(float(row[measure]) for row in rows[1::3]) for measure in ("top1", key)]
        assert point.get_xydata()[0] == pytest.approx(means), "the mean over the seeds"


def test_adjustments_of_the_old_head_stand_beside_the_new_ones(run_file: Path, trainer: Make, tmp_path: Path) -> None:
    adjustments: dict[str, Adjustment] = {"LA": LogitAdjustment(1.5), "NCM": NCM(), "tau": TauNorm(0.5)}
    grid = HeadGrid({"GML": GML}, [0.1], seeds=[4, 5], adjustments=adjustments)
    tuned(run_file, trainer, GML, 0.1, grid)
    with (tmp_path / "grid.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["loss"] for row in rows] == ["old head", "LA", "NCM", "tau", "GML"] * 2
    plain = Method(Pretrained(str(run_file), ResNet20(width=2), freeze="all"), Synthetic().counts, head=Linear)
    plain.start(plain.backbone.load())
    for name, adjustment in adjustments.items():
        trainer(callbacks=[adjustment]).test(plain, datamodule=Synthetic(batch_size=16), verbose=False)
        for row in rows:
            if row["loss"] == name:
                assert float(row["hm"]) == pytest.approx(plain.measures["test/hm"], abs=1e-5), name
    kept = torch.load(tmp_path / "right.pt")
    assert kept["seconds"] > 0
    steps = math.ceil(sum(Synthetic().counts.real) / 16)
    assert kept["images"] == 3 * steps * 16, "of three epochs"
    labels = kept["labels"]
    assert kept["right"].shape == (len(rows), len(labels))
    for row, right in zip(rows, kept["right"], strict=True):
        assert float(row["top1"]) == pytest.approx(float(right.double().mean()))
        assert float(row["lowest"]) == pytest.approx(min(float(right[labels == c].double().mean()) for c in range(5)))


def test_a_grid_measures_the_splits_that_it_is_given(run_file: Path, trainer: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no split val to measure: hold images out"):
        tuned(run_file, trainer, GML, 0.1, HeadGrid({"GML": GML}, [0.1], splits=["val"]))
    data = Synthetic(batch_size=16, val_per_class=1)
    method = Tuning(Pretrained(str(run_file), ResNet20(width=2)), data.counts)
    trainer(2, callbacks=[HeadGrid({"GML": GML}, [0.1], splits=["val"])]).fit(method, datamodule=data)
    with (tmp_path / "grid.csv").open(newline="") as lines:
        assert {row["split"] for row in csv.DictReader(lines)} == {"val"}
    assert torch.equal(torch.load(tmp_path / "right.pt")["labels"], data.splits["val"].labels)


def test_a_loss_that_draws_is_drawn_for_all_heads_alike(run_file: Path, trainer: Make) -> None:
    grid = Kept({"one": SoftmaxEqualization, "same": SoftmaxEqualization}, [0.1, 0.1])
    tuned(run_file, trainer, GML, 0.1, grid)
    assert grid.heads["fc.weight"].isfinite().all()
    torch.testing.assert_close(grid.heads["fc.weight"][0, 0], grid.heads["fc.weight"][0, 1])


class Scaled(Callback):
    """Change the gradients."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Halve them."""


@pytest.mark.parametrize(
    ("callbacks", "options", "what"),
    [
        ([MaxNorm()], {}, "^MaxNorm"),
        ([EMA()], {}, "^EMA"),
        ([GradientAccumulationScheduler({0: 4})], {}, "^GradientAccumulationScheduler"),
        ([StochasticWeightAveraging(0.1)], {}, "^StochasticWeightAveraging"),
        ([Scaled()], {}, "^Scaled"),
        ([], {"accumulate_grad_batches": 2}, "accumulate_grad_batches"),
        ([], {"gradient_clip_val": 1.0}, "gradient_clip_val"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_acts_on_single_steps_is_refused_beside_a_grid(
    run_file: Path,
    trainer: Make,
    monkeypatch: pytest.MonkeyPatch,
    callbacks: list[Callback],
    options: dict[str, Any],
    what: str,
) -> None:
    monkeypatch.setattr(Tuning, "extract_features", lambda *_, **__: pytest.fail("features were computed"))
    with pytest.raises(InputError, match=f"{what}.* acts on every single step: leave it out, or the grid"):
        tuned(run_file, partial(trainer, **options), CrossEntropy, 0.1, HeadGrid(LOSSES, LRS), *callbacks)


def test_a_grid_may_be_watched(run_file: Path, trainer: Make) -> None:
    grid = Kept(LOSSES, LRS)
    tuned(run_file, partial(trainer, max_time="00:01:00:00"), CrossEntropy, 0.1, grid)
    assert grid.heads["fc.weight"].isfinite().all()


@pytest.mark.parametrize("optimizer", [SAM, torch.optim.LBFGS])
def test_an_optimizer_of_several_passes_has_no_grid(run_file: Path, trainer: Make, optimizer: Any) -> None:
    data = Synthetic()
    method = Tuning(Pretrained(str(run_file), ResNet20(width=2)), data.counts, optimizer=optimizer)
    with pytest.raises(InputError, match=f"passes each batch once, and {optimizer.__name__} needs several for a step"):
        trainer(1, callbacks=[HeadGrid(LOSSES, LRS)]).fit(method, datamodule=data)


def test_what_cannot_be_a_grid_is_said(run_file: Path, trainer: Make) -> None:
    with pytest.raises(InputError, match="at least one loss"):
        HeadGrid({}, [0.1])
    for wrong in ([], [3, 3]):
        with pytest.raises(InputError, match="at least one seed, and each of them once"):
            HeadGrid(LOSSES, LRS, seeds=wrong)
    with pytest.raises(InputError, match="a grid of such heads has one seed"):
        tuned(run_file, trainer, GML, 0.1, HeadGrid(LOSSES, LRS, seeds=[5, 6]), reset=True)
    with pytest.raises(InputError, match="needs cached features"):
        tuned(run_file, trainer, GML, 0.1, HeadGrid(LOSSES, LRS), cache=False)
    with pytest.raises(InputError, match="has its own learning rates"):
        tuned(run_file, trainer, GML, 0.1, HeadGrid(LOSSES, LRS), rates={"head.fc": 0.5})
    data = Synthetic()
    with pytest.raises(InputError, match="needs cached features"):
        trainer(10, callbacks=[HeadGrid(LOSSES, LRS)]).fit(Method(ResNet20(width=2), data.counts), datamodule=data)
