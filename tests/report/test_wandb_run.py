"""The figures of a run in its Weights & Biases run, without a connection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.own_process import Command

FIT = (
    "fit --config ce.yaml --config recipes/wandb.yaml --data Synthetic --data.imbalance 4 --data.batch_size 16 "
    "--model.backbone ResNet20 --model.backbone.width 4 --model.schedule Cosine --model.schedule.warmup 0 "
    "--trainer.max_epochs 2 --trainer.check_val_every_n_epoch 2 --trainer.enable_progress_bar false "
    "--trainer.accelerator cpu --trainer.precision 32-true --name a"
)


@pytest.mark.slow
def test_a_test_logs_to_the_run_of_its_training(ltr) -> None:
    def logged(words: str) -> Path:
        """Run a verb in its own process, since W&B leaves threads behind; return the folder it logged to."""
        before = {*Path("wandb").glob("offline-run-*")}
        end = Command(words, Path.cwd(), environment={"WANDB_MODE": "offline", "WANDB_SILENT": "true"}).wait()
        assert end.code == 0, end.err
        (folder,) = {*Path("wandb").glob("offline-run-*")} - before
        return folder

    training = logged(FIT)
    kept = json.loads(Path("checkpoints/a/wandb.json").read_text())
    assert kept["project"] == "ltr"
    assert training.name.endswith(kept["id"])
    assert list(pictures(training)) == ["training"]
    assert pictures(training)["training"][0].startswith("curves_")

    tested = logged("test --ckpt_path a --evaluation plain")
    assert tested.name.endswith(kept["id"]), "the same run"
    found = [name.rpartition("_")[0].rpartition("_")[0] for name in pictures(tested)["plain"]]
    assert found == ["confusion", "lengths", "projection", "recall", "reliability", "shot_groups"]
    content = b"".join(path.read_bytes() for path in tested.glob("*.wandb"))
    top1 = json.loads(Path("checkpoints/a/plain/metrics.json").read_text())["top1"]
    assert b"evaluations/plain/top1" in content
    assert str(top1).encode() in content

    assert ltr("test --ckpt_path a --evaluation alone --trainer.logger false") == 0
    assert len([*Path("wandb").glob("offline-run-*")]) == 2, "only where the run is to log"


def pictures(run: Path) -> dict[str, list[str]]:
    """Return the files of the images that a run has logged, by the evaluation."""
    media = run / "files" / "media" / "images" / "figures"
    return {folder.name: sorted(path.name for path in folder.iterdir()) for folder in sorted(media.iterdir())}
