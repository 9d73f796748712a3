"""What a benchmark counts, on a clock that the tests turn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from contest import Contest
from lightning.pytorch import Callback, Trainer
from loops import LOOPS
from tables import markdown, ratio

from ltr.backbones import ResNet20
from ltr.data import Plain, Synthetic
from ltr.methods import Method
from ltr.schedules import Cosine

Make = Callable[..., Trainer]


class Clock:
    """A clock that stands still unless it is turned."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self, *_: Any) -> float:
        return self.time


class Work(Callback):
    """A training whose step takes a second, its checkpoint ten and an evaluation a hundred."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_batch_end(self, *_: Any) -> None:
        self.clock.time += 1

    def on_validation_epoch_end(self, *_: Any) -> None:
        self.clock.time += 100

    def on_train_epoch_end(self, *_: Any) -> None:
        self.clock.time += 10


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that the benchmark reads."""
    made = Clock()
    monkeypatch.setattr(Contest, "_now", staticmethod(made))
    return made


def test_a_round_is_an_epoch_with_all_that_belongs_to_it(
    clock: Clock, trainer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Slow:
        def __init__(self, data: Synthetic, device: torch.device, **options: bool) -> None:
            assert options == {"bf16": False, "compile": False}

        def __call__(self, steps: int) -> int:
            asked.append(steps)
            clock.time += 1000
            return 10

    monkeypatch.setitem(LOOPS, "bare", Slow)  # type: ignore[arg-type]
    data = Synthetic(batch_size=16)
    report = tmp_path / "report.json"
    contest = Contest(str(report), rounds=3, against=["bare"])
    model = Method(ResNet20(width=2), data.counts, schedule=Cosine())
    run = trainer(50, callbacks=[contest, Work(clock)], check_val_every_n_epoch=1)
    run.fit(model, datamodule=data)
    found = json.loads(report.read_text())
    images = sum(data.counts)
    steps = -(-images // 16)
    assert run.current_epoch == 4, "three rounds and the one before them, of a run of fifty epochs"
    assert asked == [steps] * 4
    assert found["images"] == images
    assert found["seconds"]["ltr"] == pytest.approx([(steps + 10) / images] * 3)
    assert found["seconds"]["bare"] == [100.0] * 3
    assert found["evaluation"] == pytest.approx([100 / len(data.splits["test"].labels)] * 3)
    assert found["memory"] > 2**20
    assert ratio(found, "bare") == pytest.approx(100 * images / (steps + 10))


@pytest.mark.parametrize("name", ["bare", "usual"])
def test_the_loops_learn(name: str) -> None:
    data = Synthetic(batch_size=8, imbalance=2, largest=16, augment=Plain())
    data.setup("fit")
    torch.manual_seed(0)
    loop = LOOPS[name](data, torch.device("cpu"), bf16=False, compile=False)
    before = next(loop.network.parameters()).clone()
    assert loop(3) == 24
    assert loop(1000) == len(data.splits["train"].labels)
    after = next(loop.network.parameters())
    assert after.isfinite().all()
    assert not torch.equal(after, before)


def test_the_table_of_recipes_shows_failures() -> None:
    row = {"batch_size": 128, "memory": 2**31, "seconds": {"ltr": [0.002, 0.004, 0.002], "bare": [0.001, 0.001, 0.001]}}
    result = {
        "command": "bench.py --recipes a.yaml b.yaml",
        "cpu": "a processor",
        "device": "cpu",
        "cores": 2,
        "torch": "2",
        "recipes": [{"recipe": "a.yaml", **row}, {"recipe": "b.yaml", "failure": "it is not there."}],
    }
    text = markdown(result)
    assert "| a.yaml | 128 | 256 ms | 2.00 | 2.00 GiB |" in text
    assert "| b.yaml | failed |" in text
