"""How long a training takes, measured on a few batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ltr.cli.command import perform
from ltr.run import torch_files
from ltr.run.folder import RunFolder

BATCHES = 8  # of an epoch of a trial
TRIAL = (
    *("--overwrite", "--trainer.limit_train_batches", str(BATCHES), "--trainer.limit_val_batches", "0"),
    *("--trainer.enable_progress_bar", "false"),
)


class Trial(NamedTuple):
    """A short training.

    Attributes:
        seconds: how long it took.
        images: how many images it has seen.
    """

    seconds: float
    images: int


def trial(words: Sequence[str], folder: Path, epochs: int = 1) -> Trial:
    """Train for a few batches, and delete the run.

    Args:
        words: arguments of the training.
        folder: where the folder of the trial is for that time.
        epochs: how many epochs of eight batches.
    """
    run = RunFolder(folder / "trial")
    ours = ["--runs", str(folder), "--name", run.path.name, "--trainer.max_epochs", str(epochs), *TRIAL]
    perform("fit", [*words, *ours], tell=False)
    content = torch_files.read(run.checkpoint)
    for path in sorted(run.path.iterdir()):
        path.unlink()
    run.path.rmdir()
    return Trial(content["seconds"], content["images"])
