"""A training of two epochs on synthetic data, in the words of the command line."""

from __future__ import annotations


def small(place: str) -> str:
    """Return the words for a network of few layers: each takes its time in every step."""
    return f"{place} ResNetCIFAR {place}.depth 8 {place}.width 4"


TINY = (
    f"--config ce.yaml --data Synthetic --data.imbalance 4 --data.batch_size 16 {small('--model.backbone')} "
    "--model.schedule Cosine --model.schedule.warmup 0 --trainer.max_epochs 2 "
    "--trainer.check_val_every_n_epoch 2 --trainer.enable_progress_bar false --trainer.accelerator cpu "
    "--trainer.precision 32-true"
)
