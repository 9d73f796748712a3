"""A training of two epochs on synthetic data, in the words of the command line."""

from __future__ import annotations

TINY = (
    "--config ce.yaml --data Synthetic --data.imbalance 4 --data.batch_size 16 --model.backbone ResNet20 "
    "--model.backbone.width 4 --model.schedule Cosine --model.schedule.warmup 0 --trainer.max_epochs 2 "
    "--trainer.check_val_every_n_epoch 2 --trainer.enable_progress_bar false --trainer.accelerator cpu "
    "--trainer.precision 32-true"
)
