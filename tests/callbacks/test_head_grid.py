"""A grid of heads is what as many tunings would have ended with."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything

from ltr.backbones import Pretrained, ResNet20
from ltr.callbacks import HeadGrid, TemperatureEnsemble
from ltr.data import CropFlip, Synthetic
from ltr.errors import InputError
from ltr.heads import Cosine, Linear
from ltr.losses import GML, LDAM, BalancedSoftmax, CrossEntropy, Deferred, SoftmaxEqualization
from ltr.methods import Method, Tuning

Make = Callable[..., Trainer]
pytestmark = pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")
LOSSES: dict[str, Any] = {
    "GML": GML,
    "LA": BalancedSoftmax,
    "late": partial(Deferred, before=CrossEntropy, after=LDAM, start=0.5),
}
LRS = [0.05, 0.4]


class Kept(HeadGrid):
    """A grid that keeps its heads."""

    def fit(self, *arguments: Any, **options: Any) -> dict[str, torch.Tensor]:
        """Train the heads and remember them."""
        self.heads = super().fit(*arguments, **options)
        return self.heads


def tuned(run_file: Path, trainer: Make, loss: Any, lr: float, *callbacks: HeadGrid, **options: Any) -> Tuning:
    """Return a tuning of three epochs with seed 5, beside a grid or alone."""
    seed_everything(5, verbose=False)
    data = Synthetic(batch_size=16, augment=CropFlip(1))
    optimizer = partial(torch.optim.SGD, lr=lr, momentum=0.9, weight_decay=0.01)
    method = Tuning(
        Pretrained(str(run_file), ResNet20(width=2)), data.counts, loss=loss, optimizer=optimizer, **options
    )
    trainer(3, callbacks=list(callbacks)).fit(method, datamodule=data)
    return method


@pytest.mark.parametrize("options", [{}, {"views": 2}, {"head": Cosine, "reset": True}], ids=str)
def test_every_head_is_that_of_a_tuning(run_file: Path, trainer: Make, options: dict[str, Any]) -> None:
    grid = Kept(LOSSES, LRS)
    tuned(run_file, trainer, CrossEntropy, 0.1, grid, **options)
    for rate, lr in enumerate(LRS):
        for position, (name, loss) in enumerate(LOSSES.items()):
            alone = tuned(run_file, trainer, loss, lr, **options)
            for key, value in alone.head.named_parameters():
                torch.testing.assert_close(
                    grid.heads[key][rate, position], value.detach(), rtol=1e-5, atol=1e-6, msg=f"{name} {lr} {key}"
                )
    first, last = grid.heads["fc.weight" if "fc.weight" in grid.heads else "weight"].flatten(0, 1)[[0, -1]]
    assert (first - last).abs().max() > 0.01, "the heads differ, or nothing was compared"


def test_the_tuning_goes_on_as_if_there_were_no_grid(run_file: Path, trainer: Make) -> None:
    beside = tuned(run_file, trainer, GML, 0.1, HeadGrid(LOSSES, LRS), views=2)
    alone = tuned(run_file, trainer, GML, 0.1, views=2)
    assert all(torch.equal(value, alone.state_dict()[key]) for key, value in beside.state_dict().items())


def test_the_table_holds_what_a_test_measures(run_file: Path, trainer: Make, tmp_path: Path) -> None:
    grid = HeadGrid({"GML": GML}, [0.1], t_old=[2.0])
    method = tuned(run_file, trainer, GML, 0.1, grid)
    with (tmp_path / "grid.csv").open(newline="") as lines:
        old, new, ensemble = list(csv.DictReader(lines))
    assert (tmp_path / "front.png").stat().st_size > 5000
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


def test_a_loss_that_draws_is_drawn_for_all_heads_alike(run_file: Path, trainer: Make) -> None:
    grid = Kept({"one": SoftmaxEqualization, "same": SoftmaxEqualization}, [0.1, 0.1])
    tuned(run_file, trainer, GML, 0.1, grid)
    assert grid.heads["fc.weight"].isfinite().all()
    torch.testing.assert_close(grid.heads["fc.weight"][0], grid.heads["fc.weight"][1])


def test_what_cannot_be_a_grid_is_said(run_file: Path, trainer: Make) -> None:
    with pytest.raises(InputError, match="at least one loss"):
        HeadGrid({}, [0.1])
    with pytest.raises(InputError, match="above 0"):
        HeadGrid(LOSSES, [0.1, 0.0])
    with pytest.raises(InputError, match="needs cached features"):
        tuned(run_file, trainer, GML, 0.1, HeadGrid(LOSSES, LRS), cache=False)
    with pytest.raises(InputError, match="learning rates of their own"):
        tuned(run_file, trainer, GML, 0.1, HeadGrid(LOSSES, LRS), rates={"head.fc": 0.5})
    data = Synthetic()
    with pytest.raises(InputError, match="needs cached features"):
        trainer(10, callbacks=[HeadGrid(LOSSES, LRS)]).fit(Method(ResNet20(width=2), data.counts), datamodule=data)
