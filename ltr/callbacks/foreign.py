"""Lightning's callbacks in a training of `ltr`: what they can wait for."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import LearningRateMonitor

from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.measures import MEASURES, shown


def check_callbacks(callbacks: Sequence[Callback], data: LongTailed, *, logged: bool) -> None:
    """Refuse callbacks of a training that cannot do what they are for.

    Args:
        callbacks: those of the config.
        data: which splits are measured.
        logged: whether the training has a logger.

    Raises:
        InputError: if one waits for what is never measured, selects by the test split, or needs a logger.
    """
    validated = "val" in data.monitored
    measures = [f"val/{measure.key}" for measure in shown("main")] if validated else ["train/loss"]
    remedy = f"monitor {', '.join(measures)}"
    if not validated:
        remedy = "hold images out with `--data.val_per_class 5` and monitor val/top1"
    for callback in callbacks:
        name, monitor = type(callback).__name__, getattr(callback, "monitor", None)
        if isinstance(callback, LearningRateMonitor) and not logged:
            raise InputError(
                "LearningRateMonitor needs a logger: pass `--trainer.logger CSVLogger --trainer.logger.save_dir logs`, "
                "or read train/lr in metrics.csv."
            )
        if monitor is None:
            continue
        split, _, key = monitor.partition("/")
        if split == "test":
            raise InputError(f"{name} would select by the test split ({monitor}), which is for the result: {remedy}.")
        if split not in ("train", *data.monitored):
            raise InputError(f"{name} monitors {monitor}, which is not measured: {remedy}.")
        better = {"higher": "max", "lower": "min"}[MEASURES[key].better] if key in MEASURES else None
        if better not in (None, getattr(callback, "mode", None)):
            raise InputError(f"{name} must seek the {better} of {monitor}: pass `--trainer.callbacks.mode {better}`.")
