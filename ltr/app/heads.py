"""The two heads of a tuned run, and their ensemble at any temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import torch
from torch import Tensor

import ltr
from ltr.callbacks.temperature_ensemble import averaged
from ltr.errors import InputError
from ltr.methods import Tuning
from ltr.metrics import Recall, Report, Scores, harmonic_mean, lowest
from ltr.run import lookup

KEPT = 3  # runs in the cache, 8 MB each on CIFAR-100
REACH, STEP = 4.25, 0.25  # of the temperatures, as powers of two: .05 to 19
LOCK = Lock()


class Heads(NamedTuple):
    """The logits of both heads for the test split, as a test of the run computes them.

    Attributes:
        new: (N, C) logits of the tuned head.
        old: (N, C) logits of the one it replaced.
        labels: (N,) true classes.
        classes: names of the classes.
        counts: training images per class.
    """

    new: Tensor
    old: Tensor
    labels: Tensor
    classes: list[str]
    counts: Sequence[int]

    def at(self, t_new: float, t_old: float) -> dict[str, Any]:
        """Return the measures of the ensemble, as `ltr test --config ensemble.yaml` writes them to `metrics.json`."""
        scores = Scores(len(self.counts))
        scores.update(averaged(self.new / t_new, self.old / t_old).softmax(1), self.labels)
        return Report.of(scores, self.counts).to_json() | {"classes": self.classes}

    def curve(self, t_new: float) -> list[dict[str, float]]:
        """Return top-1, harmonic mean and lowest recall at every temperature of the old head."""
        rows = []
        steps = round(REACH / STEP)
        for t_old in (2 ** (STEP * step) for step in range(-steps, steps + 1)):
            recall = Recall(len(self.counts))
            recall.update(averaged(self.new / t_new, self.old / t_old), self.labels)
            recalls = recall.compute()
            top1 = int(recall.hits.sum()) / len(self.labels)
            rows.append({"t_old": t_old, "top1": top1, "hm": harmonic_mean(recalls), "lowest": lowest(recalls)})
        return rows


def temperature(power: object) -> float:
    """Return the temperature for the value of a slider, a power of two.

    Raises:
        InputError: if it is not a number, or out of range.
    """
    if not isinstance(power, int | float) or not abs(power) <= REACH:
        raise InputError(f"a temperature is 2 to a power from {-REACH} to {REACH}, not {power!r}.")
    return float(2**power)


def heads_of(folder: Path, packages: tuple[str, ...] = ()) -> Heads:
    """Return the logits of both heads of a run; those of the last few runs are cached.

    Args:
        folder: of the run.
        packages: names of the packages whose classes its config may name, besides `ltr`.

    Raises:
        InputError: if the run has no old head, or cannot be read.
    """
    checkpoint = lookup.checkpoint(str(folder))
    with LOCK:
        return _heads(checkpoint, checkpoint.stat().st_mtime_ns, packages)


def curve_of(folder: Path, t_new: float, packages: tuple[str, ...] = ()) -> list[dict[str, float]]:
    """Return the `curve` of a run; the last few are cached."""
    checkpoint = lookup.checkpoint(str(folder))
    with LOCK:
        return _curve(checkpoint, checkpoint.stat().st_mtime_ns, t_new, packages)


@lru_cache(maxsize=KEPT)
def _heads(checkpoint: Path, written: int, packages: tuple[str, ...]) -> Heads:  # noqa: ARG001, a key of the cache
    """Compute the logits of both heads for the test split, in the precision and the batches of a test."""
    run = ltr.load(checkpoint, *({"trust": package} for package in packages))
    model, data = run.model, run.data
    if not isinstance(model, Tuning) or not bool(model.old_known):
        raise InputError(f"the run {checkpoint.parent.name} has no old head: only a tuning keeps one.")
    both = []
    with torch.no_grad(), run.trainer.precision_plugin.forward_context():
        for batch in data.plain("test"):
            output = model.answer(model.prepared(batch))
            both.append((output.logits.float().cpu(), model.old_head(output.features).logits.float().cpu()))
    new, old = (torch.cat(parts) for parts in zip(*both, strict=True))
    return Heads(new, old, data.splits["test"].labels.cpu(), data.classes, model.training_counts.real)


@lru_cache(maxsize=8 * KEPT)
def _curve(checkpoint: Path, written: int, t_new: float, packages: tuple[str, ...]) -> list[dict[str, float]]:
    """Compute a curve."""
    return _heads(checkpoint, written, packages).curve(t_new)
