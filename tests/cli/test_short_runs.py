"""Short runs run, and callbacks of Lightning do what its users expect, or one sentence says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

FOLLOWED = "--data.val_per_class 2 --trainer.check_val_every_n_epoch 1"
EARLY = "--trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor"


def test_what_a_run_is_too_short_for_is_noted_and_kept(tiny, ltr) -> None:
    short = "--trainer.max_epochs 1 --model.schedule Steps --model.schedule.warmup 5 --model.loss Deferred --name a"
    with pytest.warns(UserWarning, match=r"this run is short: the warm-up of 5 epochs takes 0 of 1;"):
        assert tiny(short) == 0
    assert ltr("test --ckpt_path a") == 0
    notes = torch.load("checkpoints/a/last.ckpt")["provenance"]["notes"]
    assert len(notes) == 4
    assert "the switch of the loss at 0.8 of the run does not take place in a single epoch" in notes
    assert json.loads(Path("checkpoints/a/test/metrics.json").read_text())["provenance"]["notes"] == notes


@pytest.mark.parametrize("flags", ["limit_train_batches 1", "overfit_batches 1", "fast_dev_run true", "max_steps 1"])
def test_parts_of_an_epoch_are_trained_on(flags: str, tiny) -> None:
    assert tiny(f"--name a --trainer.{flags}") == 0
    assert Path("checkpoints/a/last.ckpt").is_file() == ("fast" not in flags)


@pytest.mark.parametrize("flags", ["limit_train_batches 0", "max_steps 0", "max_time 00:00:00:00"])
def test_a_training_of_nothing_is_refused(flags: str, tiny, capsys) -> None:
    assert tiny(f"--name a --trainer.{flags}") == 2
    assert "no epoch was trained" in capsys.readouterr().err
    assert not Path("checkpoints/a").exists()


def test_early_stopping_follows_a_validation_measure(tiny) -> None:
    stop = f"{EARLY} val/top1 --trainer.callbacks.mode max --trainer.callbacks.stopping_threshold 0"
    assert tiny(f"--name a --trainer.max_epochs 9 {FOLLOWED} {stop}") == 0
    rows = Path("checkpoints/a/metrics.csv").read_text().splitlines()
    assert len(rows) == 2, "the first epoch reaches the threshold"
    assert torch.load("checkpoints/a/last.ckpt")["epoch"] == 0


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            f"{EARLY} val_loss",
            "monitors val_loss, which is not measured: hold images out with `--data.val",
        ),
        (f"{EARLY} val/top1", "monitors val/top1, which is not measured: hold images out"),
        (f"{EARLY} test/top1", "would select by the test split"),
        ("--trainer.callbacks+=ModelCheckpoint --trainer.callbacks.monitor test/hm", "would select by the test split"),
        (f"{FOLLOWED} {EARLY} val/hm", "must seek the max of val/hm: pass `--trainer.callbacks.mode max`"),
        (
            "--trainer.callbacks+=EarlyStopping",
            "needs a value for monitor: pass `--trainer.callbacks.monitor`",
        ),
        ("--trainer.callbacks+=LearningRateMonitor", "`--trainer.logger CSVLogger --trainer.logger.save_dir logs`"),
        ("--trainer.enable_checkpointing false", "leave out `--trainer.enable_checkpointing`"),
    ],
)
def test_a_callback_that_cannot_work_is_refused(flags: str, sentence: str, tiny, capsys) -> None:
    assert tiny(f"--name a {flags}") == 2
    assert sentence in capsys.readouterr().err


def test_a_checkpoint_of_the_best_validation_is_kept_beside_the_last(tiny) -> None:
    best = "--trainer.callbacks+=ModelCheckpoint --trainer.callbacks.monitor val/top1 --trainer.callbacks.mode max"
    assert tiny(f"--name a {FOLLOWED} {best} --trainer.callbacks.filename best") == 0
    names = {path.name for path in Path("checkpoints/a").rglob("*.ckpt")}
    assert names == {"best.ckpt", "last.ckpt", "previous.ckpt"}


def test_the_rates_are_logged(tiny) -> None:
    logger = "--trainer.logger CSVLogger --trainer.logger.save_dir logs"
    assert tiny(f"--name a --trainer.callbacks+=LearningRateMonitor {logger}") == 0
    assert "lr-SGD" in next(Path("logs").rglob("metrics.csv")).read_text()


@pytest.mark.slow
def test_a_test_of_a_part_is_marked(trained, ltr, capsys) -> None:
    trained("--name a")
    capsys.readouterr()
    assert ltr("test --ckpt_path a --data.eval_batch_size 8 --trainer.limit_test_batches 1 --evaluation part") == 0
    assert capsys.readouterr().out.startswith("checkpoints/a/part: 8 of 20 images: top-1 ")
    metrics = json.loads(Path("checkpoints/a/part/metrics.json").read_text())
    assert (metrics["images"], metrics["images_in_split"]) == (8, 20)
    assert ltr("test --ckpt_path a --trainer.limit_test_batches 0") == 2
    assert "nothing is left to test" in capsys.readouterr().err
