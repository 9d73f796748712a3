"""A backbone trained by contrast, and the classifier that it is given afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

SMALL = (
    "--data Synthetic --data.imbalance 4 --data.batch_size 16 --model.schedule Cosine --model.schedule.warmup 0 "
    "--trainer.max_epochs 1 --trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false"
)
FIRST = f"{SMALL} --model.backbone ResNet20 --model.backbone.width 4 --name a"
SECOND = (
    f"--config crt.yaml {SMALL} --model.backbone.checkpoint a --model.backbone.backbone ResNet20 "
    "--model.backbone.backbone.width 4"
)


def state(name: str) -> dict[str, Tensor]:
    return dict(torch.load(f"checkpoints/{name}/last.ckpt")["state_dict"])


@pytest.mark.slow
def test_a_classifier_is_trained_after_the_contrast(ltr) -> None:
    assert ltr(f"fit --config supcon.yaml {FIRST}") == 0
    first = state("a")
    for name, old in (("linear", ""), ("named", "--model.old_head Projection")):
        assert ltr(f"fit {SECOND} --name {name} {old}") == 0
        second = state(name)
        for part in ("fc.weight", "fc.bias", *(["projection.2.weight"] if old else [])):
            assert torch.equal(second[f"old_head.{part}"], first[f"head.{part}"]), part
        assert bool(second["old_known"])
        assert not torch.equal(second["head.fc.weight"], first["head.fc.weight"])
        assert "head.projection.0.weight" not in second, "the second stage has a plain head"
        for key, value in first.items():
            assert not key.startswith("backbone.") or torch.equal(second[f"backbone.{key}"], value), key


@pytest.mark.slow
def test_a_contrastive_run_is_evaluated(ltr) -> None:
    assert ltr(f"fit --config ce_supcon.yaml {FIRST}") == 0
    for adjustment in ("ncm", "tau_norm"):
        assert ltr(f"test --ckpt_path a --config {adjustment}.yaml --evaluation {adjustment}") == 0
        assert 0 <= json.loads(Path(f"checkpoints/a/{adjustment}/metrics.json").read_text())["top1"] <= 1


@pytest.mark.slow
def test_a_cosine_classifier_beside_a_projection_is_named(ltr, capsys) -> None:
    assert ltr(f"fit --config ldam_supcon.yaml {FIRST}") == 0
    assert {"head.weight", "head.projection.0.weight"} <= set(state("a"))
    assert ltr(f"fit {SECOND} --name b") == 2
    assert "Pass its head class with `--model.old_head`" in capsys.readouterr().err
    assert ltr(f"fit {SECOND} --name b --model.old_head Cosine") == 0
    assert torch.equal(state("b")["old_head.weight"], state("a")["head.weight"])
