"""A run goes on after its end, after a change of its settings, and with the record of all it has seen."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

RUN = Path("checkpoints/a")
LAST = "--ckpt_path last"


def rates(name: str) -> list[float]:
    with Path(f"checkpoints/{name}/metrics.csv").open() as lines:
        return [float(row["train/lr"]) for row in csv.DictReader(lines)]


def group(name: str) -> dict[str, object]:
    """Return the settings of the optimizer of a run."""
    content = torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True)
    return dict(content["optimizer_states"][0]["param_groups"][0])


@pytest.mark.slow_but_one
@pytest.mark.parametrize("schedule", ["Cosine", "Cosine --model.schedule.warmup 2", "Steps --model.schedule.warmup 0"])
def test_more_epochs_have_the_rates_of_a_run_of_that_length(tiny, schedule: str) -> None:
    words = f"--model.schedule {schedule} --trainer.max_epochs"
    assert tiny(f"--name a {words} 10") == 0
    assert tiny(f"--name a {LAST} {words} 13") == 0
    assert tiny(f"--name whole {words} 13") == 0
    assert rates("a")[10:] == rates("whole")[10:]
    assert min(rates("a")[10:]) > 0


def test_fewer_epochs_than_a_run_has_are_refused(trained, tiny, capsys) -> None:
    trained("--name a")
    before = (RUN / "last.ckpt").read_bytes()
    assert tiny(f"--name a {LAST} --trainer.max_epochs 1") == 2
    assert "the run has 2 epochs already: pass `--trainer.max_epochs` with a larger" in capsys.readouterr().err
    assert (RUN / "last.ckpt").read_bytes() == before


def test_new_settings_of_the_optimizer_count_and_stand_in_the_config(trained, tiny) -> None:
    trained("--name a")
    new = "--model.optimizer.lr 0.001 --model.optimizer.weight_decay 0.5 --model.optimizer.momentum 0.8"
    assert tiny(f"--name a {LAST} --trainer.max_epochs 4", new) == 0
    found = group("a")
    assert (found["initial_lr"], found["weight_decay"], found["momentum"]) == (0.001, 0.5, 0.8)
    assert rates("a")[2] == pytest.approx(0.0005)  # half of the cosine
    optimizer = yaml.safe_load((RUN / "config.yaml").read_text())["model"]["init_args"]["optimizer"]["init_args"]
    assert (optimizer["lr"], optimizer["weight_decay"], optimizer["momentum"]) == (0.001, 0.5, 0.8)


@pytest.mark.slow
def test_new_rates_of_parts_count(tiny) -> None:
    rate = '--model.rates {"backbone":%s}'
    assert tiny("--name a", rate % 0.1) == 0
    assert tiny(f"--name a {LAST} --trainer.max_epochs 4", rate % 0.5) == 0
    groups = torch.load(RUN / "last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"]
    assert [part["initial_lr"] for part in groups] == [0.1, 0.05]


@pytest.mark.parametrize(
    "change",
    [
        "--model.optimizer AdamW",
        "--model.optimizer Adam",
        "--model.optimizer RMSprop",
        '--model.rates {"backbone":0.1}',
        "--model.optimizer ltr.optimizers.SAM --model.optimizer.base torch.optim.AdamW",
    ],
)
def test_another_optimizer_is_refused_in_a_sentence(trained, tiny, capsys, change: str) -> None:
    trained("--name a")
    before = {path.name: path.read_bytes() for path in RUN.iterdir()}
    assert tiny(f"--name a {LAST} --trainer.max_epochs 4", change) == 2
    assert "the training was begun with another optimizer" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in RUN.iterdir()} == before


def test_a_run_goes_on_in_a_folder_that_was_moved(tiny, recwarn: pytest.WarningsRecorder) -> None:
    assert tiny("--name a") == 0
    Path("checkpoints").rename("elsewhere")
    assert tiny(f"--name a --runs elsewhere {LAST} --trainer.max_epochs 3") == 0
    assert not [warning for warning in recwarn if "dirpath" in str(warning.message)]
    with Path("elsewhere/a/metrics.csv").open() as lines:
        assert [row["epoch"] for row in csv.DictReader(lines)] == ["0", "1", "2"]


def test_a_file_of_weights_is_not_resumed(tiny, capsys) -> None:
    torch.save(torch.nn.Linear(2, 2).state_dict(), "weights.pt")
    assert tiny("--name a --ckpt_path weights.pt") == 2
    assert "weights.pt is not the checkpoint of a training: start a new one from its weights" in capsys.readouterr().err
    assert not RUN.exists()


@pytest.mark.slow
def test_other_data_are_noticed_and_remembered(trained, tiny, ltr, capsys) -> None:
    trained("--name a --data.val_per_class 2")
    assert tiny("--name b --data.val_per_class 2") == 0
    with pytest.warns(UserWarning, match="10 of the 56 training images are new to this run"):
        assert tiny(f"--name a {LAST} --trainer.max_epochs 4") == 0
    counts = torch.load(RUN / "last.ckpt", weights_only=True)["state_dict"]["counts"].tolist()
    assert counts == [20, 14, 10, 7, 5], "those of the training that went on"
    fitted = "--data.val_per_class 2 --config temperature_scaling.yaml --evaluation fitted"
    assert ltr("test --ckpt_path b", fitted) == 0
    capsys.readouterr()
    assert ltr("test --ckpt_path a", fitted) == 2
    assert "was trained on 10 of the 10 images of the validation split" in capsys.readouterr().err


def test_the_same_data_are_not_noted(trained, tiny, recwarn: pytest.WarningsRecorder) -> None:
    trained("--name a")
    assert tiny(f"--name a {LAST} --trainer.max_epochs 3") == 0
    assert not [warning for warning in recwarn if "new to this run" in str(warning.message)]


@pytest.fixture
def weights_and_biases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Weights & Biases write to files, and end its service, which the processes of later tests would share.

    A process waits for its own service to write everything, but not for that of another process.
    """
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield
    wandb.teardown()


@pytest.mark.slow
@pytest.mark.usefixtures("weights_and_biases")
def test_a_resumed_training_goes_on_in_its_run_of_weights_and_biases(tiny) -> None:
    assert tiny("--name a --config recipes/wandb.yaml") == 0
    first = json.loads((RUN / "wandb.json").read_text())
    assert tiny(f"--name a --config recipes/wandb.yaml {LAST} --trainer.max_epochs 3") == 0
    assert json.loads((RUN / "wandb.json").read_text()) == first
    assert tiny("--name a --config recipes/wandb.yaml --overwrite") == 0
    assert json.loads((RUN / "wandb.json").read_text())["id"] != first["id"]
