"""Two processes with half the batch each are one process with the whole batch."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import small


@pytest.mark.slow
def test_a_tuning_in_two_processes_is_that_of_one(trained, ltr, tmp_path: Path, capsys) -> None:
    trained("--name a")
    tuning = (
        "fit --config gml.yaml --data Synthetic --data.imbalance 4 --data.sampler.q 1 --trainer.max_epochs 3 "
        f"--model.backbone.checkpoint a {small('--model.backbone.backbone')} "
        "--trainer.check_val_every_n_epoch 3 --trainer.precision 32-true --trainer.enable_progress_bar false "
        "--trainer.accelerator cpu"
    )
    capsys.readouterr()
    assert ltr(tuning, "--name one --data.batch_size 16") == 0
    two = "--name two --data.batch_size 8 --trainer.devices 2 --trainer.strategy ddp"
    done = subprocess.run(
        [sys.executable, "-m", "ltr", *tuning.split(), *two.split()],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    for errors in (capsys.readouterr().err, done.stderr):
        assert "sync_dist" not in errors, "what is logged is of all processes already"
    one, two = (torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True)["state_dict"] for name in ("one", "two"))
    assert not torch.equal(one["head.fc.weight"], one["old_head.fc.weight"]), "something was learned"
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=1e-5, atol=1e-6, msg=key)
    curves = []
    for name in ("one", "two"):
        with Path(f"checkpoints/{name}/metrics.csv").open() as lines:
            curves.append([float(row["train/loss"]) for row in csv.DictReader(lines)])
            assert len(curves[-1]) == 3
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)
