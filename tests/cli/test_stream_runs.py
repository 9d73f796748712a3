"""Runs of BBN and RSG are evaluated, and a classifier is retrained on what they have learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

COMMON = (
    "--data Synthetic --data.imbalance 4 --data.batch_size 16 --model.schedule Cosine --model.schedule.warmup 0 "
    "--trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false"
)
SMALL = "ResNet20 --model.backbone.backbone.width 4"
DOUBLE = "Bilateral --model.backbone.backbone.backbone ResNet20 --model.backbone.backbone.backbone.init_args.width 4"
RUNS = {
    "bbn": ("", DOUBLE, "Linear"),
    "rsg": ("--model.start 0.5 --model.loss.start 0.5", SMALL, "Cosine"),
}


@pytest.mark.parametrize("name", RUNS)
def test_gml_tunes_the_classifier_of_a_run(name: str, ltr) -> None:
    words, backbone, head = RUNS[name]
    first = f"fit --config {name}.yaml {COMMON} --model.backbone ResNet20 --model.backbone.width 4 {words}"
    assert ltr(f"{first} --trainer.max_epochs 2 --trainer.check_val_every_n_epoch 2") == 0
    assert ltr(f"test --ckpt_path {name}") == 0
    assert 0 <= json.loads(Path(f"checkpoints/{name}/test/metrics.json").read_text())["top1"] <= 1
    tuning = f"fit --config gml.yaml {COMMON} --trainer.max_epochs 1 --model.backbone.checkpoint {name}"
    kinds = f"--model.backbone.backbone {backbone} --model.head {head} --model.old_head {head}"
    assert ltr(f"{tuning} {kinds}") == 0
    run, tuned = (torch.load(f"checkpoints/{which}/last.ckpt")["state_dict"] for which in (name, "gml"))
    kept = {key: value for key, value in run.items() if key.startswith("backbone.")}
    for key, value in kept.items():
        assert torch.equal(tuned[key.replace("backbone.", "backbone.backbone.", 1)], value), key
    assert not any(key.startswith("generator.") for key in tuned)
    assert ltr("test --ckpt_path gml") == 0


def test_the_network_of_a_run_of_bbn_is_named(ltr, capsys) -> None:
    first = f"fit --config bbn.yaml {COMMON} --trainer.max_epochs 1 --trainer.limit_train_batches 1"
    assert ltr(f"{first} --trainer.limit_val_batches 1") == 0
    assert ltr(f"fit --config gml.yaml {COMMON} --trainer.max_epochs 1 --model.backbone.checkpoint bbn") == 2
    assert "say `--model.backbone.backbone Bilateral`" in capsys.readouterr().err
