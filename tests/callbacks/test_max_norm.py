"""The projection of the classifier's rows, against the official numbers and in a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from ltr.backbones import ResNet20
from ltr.callbacks import EMA, MaxNorm
from ltr.callbacks.max_norm import project, radius
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.heads import Cosine
from ltr.methods import Method
from ltr.schedules import Cosine as CosineSchedule

CASES = json.loads((Path(__file__).parents[1] / "references" / "maxnorm_projection.json").read_text())["cases"]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_agrees_with_the_official_code(case: dict[str, Any]) -> None:
    expected = case["expected"]
    found = radius(torch.tensor(case["weight_initial"]), case["params"]["threshold_fraction"])
    assert found == pytest.approx(expected["radius"], rel=1e-9)
    weight = torch.tensor(case["weight"])
    before = weight.clone()
    project(weight, found)
    torch.testing.assert_close(weight, torch.tensor(expected["weight"]), rtol=1e-9, atol=1e-10)
    assert (weight != before).any(1).tolist() == expected["rows_projected"]
    once = weight.clone()
    project(weight, found)
    torch.testing.assert_close(weight, once)


def test_no_row_leaves_the_ball_after_any_step(trainer) -> None:
    norms: list[float] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
            norms.append(module.head.fc.weight.detach().norm(dim=1).max().item())

    data, ball = Synthetic(batch_size=8), MaxNorm(0.3)
    method = Method(ResNet20(width=2), data.counts, schedule=CosineSchedule())
    lengths = [row.norm().item() for row in method.head.fc.weight]
    bias = method.head.fc.bias.clone()
    trainer(2, callbacks=[ball, Watch()]).fit(method, datamodule=data)
    assert ball.radius == pytest.approx(min(lengths) + 0.3 * (max(lengths) - min(lengths)), rel=1e-6)
    assert len(norms) == 12
    assert max(norms) <= ball.radius * (1 + 1e-6)
    assert not torch.equal(method.head.fc.bias, bias)


def test_a_resumed_run_keeps_its_radius(trainer, tmp_path: Path) -> None:
    data, ball = Synthetic(), MaxNorm()
    method = Method(ResNet20(width=2), data.counts, schedule=CosineSchedule())
    first = trainer(1, callbacks=[ball])
    first.fit(method, datamodule=data)
    ball.radius = 0.25
    first.save_checkpoint(tmp_path / "run.ckpt")
    again = MaxNorm()
    trainer(2, callbacks=[again]).fit(method, datamodule=data, ckpt_path=tmp_path / "run.ckpt", weights_only=True)
    assert again.state_dict() == {"radius": 0.25}
    assert method.head.fc.weight.norm(dim=1).max() <= 0.25 * (1 + 1e-6)


def test_another_training_has_a_radius_of_its_own(trainer) -> None:
    data, ball = Synthetic(), MaxNorm(1.0)
    for factor in (1.0, 3.0):
        method = Method(ResNet20(width=2), data.counts, schedule=CosineSchedule())
        with torch.no_grad():
            method.head.fc.weight.mul_(factor)
        longest = method.head.fc.weight.norm(dim=1).max().item()
        trainer(1, callbacks=[ball]).fit(method, datamodule=data)
        assert ball.radius == pytest.approx(longest, rel=1e-6)


def test_rows_that_would_stay_at_zero_are_refused(trainer) -> None:
    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts, schedule=CosineSchedule())
    torch.nn.init.zeros_(method.head.fc.weight)
    with pytest.raises(InputError, match=r"with the fraction 0\.1 its radius is that of rows that start at 0"):
        trainer(1, callbacks=[MaxNorm()]).fit(method, datamodule=data)
    torch.nn.init.ones_(method.head.fc.weight[1:])
    with pytest.raises(InputError, match="with the fraction 0 its radius is that of rows that start at 0"):
        trainer(1, callbacks=[MaxNorm(fraction=0)]).fit(method, datamodule=data)


def test_other_heads_are_refused(trainer) -> None:
    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts, head=Cosine, schedule=CosineSchedule())
    with pytest.raises(InputError, match=r"must be a Linear head, and this one is Cosine\. Leave out `MaxNorm`"):
        trainer(1, callbacks=[MaxNorm()]).fit(method, datamodule=data)


def test_an_average_of_rows_that_are_not_yet_shortened_is_refused(trainer) -> None:
    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts, schedule=CosineSchedule())
    with pytest.raises(InputError, match="EMA averages rows that `MaxNorm` has not yet shortened: list"):
        trainer(1, callbacks=[EMA(), MaxNorm()]).fit(method, datamodule=data)
    ball = MaxNorm()
    trainer(1, callbacks=[ball, EMA()]).fit(method, datamodule=data)
    assert method.head.fc.weight.norm(dim=1).max() <= ball.radius * (1 + 1e-6)
