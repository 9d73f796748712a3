"""Runs to take elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import network

from ltr.__main__ import main

OPTIONS = (
    "--data Synthetic --data.imbalance 4 --data.batch_size 16 --trainer.max_epochs 1 --model.schedule Cosine "
    "--trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false"
)
PLAIN = f"{OPTIONS} {network('--model.backbone')} --model.schedule.warmup 0"
EXPERTS = f"{OPTIONS} {network('--model.backbone.backbone')}"
RUNS = {
    "plain": f"fit --config ce.yaml {PLAIN}",
    "cosine": f"fit --config ce.yaml {PLAIN} --model.head Cosine --model.head.scale 16",
    "experts": f"fit --config ride.yaml {EXPERTS} --model.schedule.warmup 0 --trainer.max_epochs 5",
    "tuned": f"fit --config gml.yaml {EXPERTS} --model.backbone.checkpoint plain --model.reset true",
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with runs of all kinds, each tested once."""
    home = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("PL_GLOBAL_SEED", "0")
        for name, words in RUNS.items():
            main([*words.split(), "--name", name])
            main(["test", "--ckpt_path", name])
    return home


@pytest.fixture(autouse=True)
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where the runs are."""
    monkeypatch.chdir(trained)
