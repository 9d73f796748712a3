"""The benchmarks, whole but small."""

from __future__ import annotations

import json
from pathlib import Path

import augmentations as module
import pytest
from augmentations import USUAL, augmentations, recipe
from bench import main

SMALL = (
    "--rounds 1 --data Synthetic --data.largest 100 --data.batch_size 16 "
    "--model.backbone ResNetCIFAR --model.backbone.depth 8 --model.backbone.width 4 "
    "--trainer.limit_train_batches 2 --trainer.accelerator cpu --output results"
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the results into a folder of the test."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_machine_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(module, "USUAL", {"basic": USUAL["basic"]})
    main(SMALL.split())
    found = json.loads((tmp_path / "results/bench.json").read_text())
    loop = found["loop"]
    assert set(loop["seconds"]) == {"ltr", "bare", "usual"}
    assert all(len(took) == 1 and took[0] > 0 for took in loop["seconds"].values())
    assert 0 < loop["first_step"] < 600
    assert found["augmentations"][0]["ratio"] > 0
    text = (tmp_path / "results/bench.md").read_text()
    assert text in capsys.readouterr().out
    assert "| bare loop |" in text
    assert [path.name for path in tmp_path.iterdir()] == ["results"], "the trainings leave nothing behind"


@pytest.mark.slow
def test_recipes_are_compared_and_failures_shown(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit, match=r"nonsense\.yaml could not be run: there is no config nonsense\.yaml"):
        main([*SMALL.split(), "--recipes", "nonsense.yaml"])
    assert json.loads((tmp_path / "results/recipes.json").read_text())["recipes"][0]["recipe"] == "nonsense.yaml"
    assert "| nonsense.yaml | failed |" in capsys.readouterr().out


@pytest.mark.slow
def test_what_is_learned_is_compared_with_the_usual_stack(tmp_path: Path) -> None:
    gently = "--data.batch_size 64 --model.optimizer.lr 0.01"  # on few images more is a matter of luck
    main(["--curves", "2", *SMALL.replace("--trainer.limit_train_batches 2", gently).split()])
    rows = json.loads((tmp_path / "results/curves.json").read_text())["curves"]
    assert [row["seed"] for row in rows] == [0, 1]
    for row in rows:
        for curve in (row["ltr"], row["usual"]):
            assert len(curve) == 5
            assert curve[-1]["loss"] < curve[0]["loss"], "both learn"
            assert all(0 <= epoch["top1"] <= 1 for epoch in curve)
        assert row["ltr"] != row["usual"]
    text = (tmp_path / "results/curves.md").read_text().splitlines()
    first, second = (100 * (row["ltr"][0]["top1"] - row["usual"][0]["top1"]) for row in rows)
    assert text[4].split(" | ")[-1].startswith(f"{(first + second) / 2:.1f} ± ")


@pytest.mark.slow
def test_files_are_made_found_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    monkeypatch.setattr("image_files.command", lambda *words: said.append(words[0]))
    main(["--files", "150", "--output", "results"])
    found = json.loads((tmp_path / "results/files.json").read_text())["files"]
    assert 150 <= found["files"] <= 190
    assert 0 < found["training"] < found["files"]
    assert all(took > 0 for took in found["seconds"].values())
    assert said == ["profile", "fit"]
    assert "| find the files and their classes |" in (tmp_path / "results/files.md").read_text()


def test_a_round_is_needed(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--rounds", "0"])
    assert "at least one round" in capsys.readouterr().err


def test_every_augmentation_has_its_counterpart() -> None:
    rows = augmentations(rounds=1, batch=4, batches=1)
    assert [row["recipe"] for row in rows] == list(USUAL)
    assert all(row["batched"] > 0 and row["pil"] > 0 for row in rows)
    assert type(recipe("autoaugment").transforms[1]).__name__ == "AutoAugment"
