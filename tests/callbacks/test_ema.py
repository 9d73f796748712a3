"""The moving average of the weights: as a loop, in evaluations, in checkpoints, resumed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from ltr.backbones import ResNet20
from ltr.callbacks import EMA
from ltr.data import Synthetic
from ltr.methods import Method
from ltr.schedules import Cosine


class Watch(Callback):
    """Keep the weights after every step, and those of every evaluation."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Tensor]] = []
        self.evaluated: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        self.steps.append({key: value.clone() for key, value in module.state_dict().items()})

    def on_validation_batch_end(self, trainer, module, outputs, batch, index, dataloader_idx=0) -> None:
        self.evaluated.append({key: value.clone() for key, value in module.state_dict().items()})


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_average_as_a_loop(trainer, decay: float) -> None:
    data, watch = Synthetic(batch_size=8), Watch()
    method = Method(ResNet20(width=2), data.counts, schedule=Cosine())
    trainer(3, callbacks=[EMA(decay), watch]).fit(method, datamodule=data)
    average = dict(watch.steps[0])
    for n, state in enumerate(watch.steps[1:], 1):
        share = min(decay, (1 + n) / (10 + n))
        average = {
            key: share * average[key] + (1 - share) * value if value.is_floating_point() else value
            for key, value in state.items()
        }
    assert len(watch.steps) == 18
    moved = 0
    for key, value in method.state_dict().items():
        torch.testing.assert_close(value, average[key], rtol=1e-4, atol=1e-6, msg=key)
        torch.testing.assert_close(watch.evaluated[-1][key], average[key], rtol=1e-4, atol=1e-6, msg=key)
        moved += not torch.equal(watch.steps[-1][key], value)
    assert moved > 20
    assert method.training_counts == data.counts


def test_the_training_goes_on_as_without(trainer) -> None:
    last = []
    for callbacks in ([], [EMA()]):
        torch.manual_seed(0)
        data, watch = Synthetic(), Watch()
        method = Method(ResNet20(width=2), data.counts, schedule=Cosine())
        trainer(3, callbacks=[*callbacks, watch]).fit(method, datamodule=data)
        last.append(watch.steps[-1])
    assert all(torch.equal(last[0][key], value) for key, value in last[1].items())


@pytest.mark.slow
def test_a_run_is_tested_with_its_average(tiny, ltr) -> None:
    assert tiny("--name a --trainer.callbacks+=EMA --trainer.callbacks.decay 0.6") == 0
    folder = Path("checkpoints/a")
    content = torch.load(folder / "last.ckpt", weights_only=True)
    averaged, current = (content[part]["head.fc.weight"] for part in ("state_dict", "current_model_state"))
    assert not torch.equal(averaged, current)
    assert ltr("test --ckpt_path a") == 0
    with (folder / "metrics.csv").open() as lines:
        last = list(csv.DictReader(lines))[-1]
    found = json.loads((folder / "test" / "metrics.json").read_text())
    for key in ("top1", "gm", "ece"):
        assert float(last[f"test/{key}"]) == found[key]
