"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ltr.cli import main

TINY = (
    "--config ce.yaml --data Synthetic --data.imbalance 4 --data.batch_size 16 --model.backbone ResNet20 "
    "--model.backbone.width 4 --model.schedule Cosine --model.schedule.warmup 0 --trainer.max_epochs 2 "
    "--trainer.check_val_every_n_epoch 2 --trainer.enable_progress_bar false --trainer.accelerator cpu "
    "--trainer.precision 32-true"
).split()

Run = Callable[..., int]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small tensors gain nothing from threads, and sums are the same on every machine."""
    torch.set_num_threads(1)


@pytest.fixture
def ltr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the command line, called in an empty folder; it returns the exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> int:
        arguments = [part for word in words for part in word.split()]
        monkeypatch.setattr("sys.argv", ["ltr", *arguments])
        try:
            main(arguments)
        except SystemExit as end:
            return int(end.code or 0) if not isinstance(end.code, str) else 1
        return 0

    return run


@pytest.fixture
def tiny(ltr: Run) -> Run:
    """Return a training of two epochs on synthetic data, with further arguments."""
    return lambda *words: ltr("fit", *TINY, *words)
