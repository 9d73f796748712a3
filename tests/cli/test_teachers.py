"""Runs with a teacher and with class statistics: resumed, tested without the teacher's file, tuned afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_runs import GML, interruption, metrics, same_run
from tiny import small

VIEWS = (
    "--data.augment ltr.data.MultiView "
    '--data.augment.transforms [{"class_path":"ltr.data.Plain"},{"class_path":"ltr.data.CropFlip"}]'
)
TEACHER = f"--model.teacher.checkpoint start {small('--model.teacher.backbone')}"
TAUGHT = f"--config distillation.yaml {TEACHER}"
THREE = (
    '--data.augment ltr.data.MultiView --data.augment.transforms [{"class_path":"ltr.data.Plain"},'
    '{"class_path":"ltr.data.CropFlip"},{"class_path":"ltr.data.CropFlip"}]'
)
KEYS = f"--config mixture_likelihood.yaml {THREE} {TEACHER} --model.teacher_head Linear --model.queue 50"
# The arguments come after those of a small run, which are for cross-entropy on single views.
WAYS = {"a teacher": TAUGHT, "class statistics": f"--config proco.yaml {VIEWS}"}
RESUMED = {**WAYS, "a teacher with a queue": KEYS}
TINY = (
    f"--data Synthetic --data.imbalance 4 --data.batch_size 16 {small('--model.backbone')} "
    "--model.schedule Cosine --model.schedule.warmup 0 --trainer.max_epochs 4 --trainer.check_val_every_n_epoch 4 "
    "--trainer.enable_progress_bar false --trainer.accelerator cpu --trainer.precision 32-true"
)


def words(way: str) -> str:
    """Return the arguments of a run of four epochs."""
    config, _, rest = RESUMED[way].partition(".yaml")
    return f"fit {config}.yaml {TINY} {rest}"


@pytest.mark.slow_but_one
@pytest.mark.parametrize("average", ["", "--trainer.callbacks+=EMA --trainer.callbacks.decay 0.6"])
@pytest.mark.parametrize("way", RESUMED)
def test_a_resumed_run_equals_an_undisturbed_one(trained, ltr, way: str, average: str) -> None:
    trained("--name start")
    assert ltr(words(way), average, "--name a") == 0
    with interruption():
        assert ltr(words(way), average, "--name b") == 130
    Path("checkpoints/start/last.ckpt").unlink()
    assert ltr("fit --ckpt_path checkpoints/b/last.ckpt") == 0
    same_run("a", "b")


@pytest.mark.slow_but_one
@pytest.mark.parametrize("way", WAYS)
def test_a_run_is_tested_and_tuned_like_any_other(trained, ltr, way: str) -> None:
    trained("--name start")
    assert ltr(words(way), "--name a") == 0
    Path("checkpoints/start/last.ckpt").unlink()
    assert ltr("test --ckpt_path a") == 0
    own = torch.load("checkpoints/a/last.ckpt")["state_dict"]
    learned = [name for name in own if name.endswith(("weight", "bias"))]
    assert {name.split(".")[0] for name in learned} == {"backbone", "head"}
    assert metrics()["params"] == sum(own[name].numel() for name in learned), "a teacher is not counted"
    assert ltr("fit", GML, "--name gml --model.backbone.checkpoint a") == 0
    tuned = torch.load("checkpoints/gml/last.ckpt")["state_dict"]
    assert torch.equal(tuned["old_head.fc.weight"], own["head.fc.weight"])
    assert torch.equal(tuned["backbone.backbone.conv1.weight"], own["backbone.conv1.weight"])
    assert ltr("test --ckpt_path gml") == 0


def test_a_checkpoint_without_a_teacher_is_refused(trained, ltr, capsys) -> None:
    trained("--name start")
    assert ltr(words("a teacher"), "--name b --ckpt_path checkpoints/start/last.ckpt") == 2
    assert "the checkpoint has no teacher" in capsys.readouterr().err


@pytest.mark.slow
def test_a_network_trained_with_keys_is_tested_and_tuned_without_them(trained, ltr) -> None:
    trained("--name start")
    assert ltr(words("a teacher with a queue"), "--name a") == 0
    Path("checkpoints/start/last.ckpt").unlink()
    assert ltr("test --ckpt_path a") == 0
    own = torch.load("checkpoints/a/last.ckpt")["state_dict"]
    assert {name.split(".")[0] for name in own} >= {"queue", "key_embedding", "log_temperature"}
    brief = "--trainer.max_epochs 3 --trainer.precision 32-true --trainer.accelerator cpu"
    assert ltr("fit --config gml.yaml --name gml --model.backbone.checkpoint a", brief) == 0
    tuned = torch.load("checkpoints/gml/last.ckpt")["state_dict"]
    assert torch.equal(tuned["old_head.weight"], own["head.weight"])
    assert not any(name.startswith(("queue", "key_embedding", "log_temperature")) for name in tuned)
