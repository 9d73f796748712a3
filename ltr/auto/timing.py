"""How long a training takes, measured on a few batches."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ltr.cli.command import perform
from ltr.run.folder import RunFolder

TRIAL = (
    *("--overwrite", "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "8"),
    *("--trainer.limit_val_batches", "0"),
    *("--trainer.enable_progress_bar", "false"),
)


@contextmanager
def trial(words: Sequence[str], folder: Path) -> Iterator[RunFolder]:
    """Train for a few batches, give the run, and delete it.

    Args:
        words: arguments of the training.
        folder: where the folder of the trial is for that time.
    """
    run = RunFolder(folder / "trial")
    try:
        perform("fit", [*words, "--runs", str(folder), "--name", run.path.name, *TRIAL], tell=False)
        yield run
    finally:
        shutil.rmtree(run.path, ignore_errors=True)
