"""What the table of runs says of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from ltr import files
from ltr.app.allowed_paths import AllowedPaths
from ltr.app.job import PLAN, STATE
from ltr.app.runs import COLUMNS, OWN, row, rows
from ltr.app.tuning_form import tunings
from ltr.app.watch import resume, standing
from ltr.errors import InputError

CONFIG = {
    "model": {"class_path": "ltr.methods.Method", "init_args": {"loss": "ltr.losses.GML"}},
    "data": {"class_path": "ltr.data.FolderLT", "init_args": {"imbalance": 100.0, "tail": "none"}},
    "trainer": {"max_epochs": 30},
}


@pytest.fixture
def paths(tmp_path: Path) -> AllowedPaths:
    (tmp_path / "signs").mkdir()
    (tmp_path / "signs" / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "signs" / "metrics.csv").write_text("epoch,train/loss\n")
    return AllowedPaths(tmp_path)


def cells(paths: AllowedPaths) -> dict[str, str]:
    return dict(zip(COLUMNS, row(paths, "signs", paths.run("signs")), strict=True))


def curves(paths: AllowedPaths, epochs: int) -> None:
    rows = [f"{epoch},1.0\n" for epoch in range(epochs)]
    (paths.runs / "signs" / "metrics.csv").write_text("epoch,train/loss\n" + "".join(rows))


@pytest.mark.parametrize("name", ["my run", "Käfer", "$(a)", "x" * 200])
def test_a_run_of_any_name_is_listed(paths: AllowedPaths, name: str) -> None:
    (paths.runs / "signs").rename(paths.runs / name)
    assert [row[0] for row in rows(paths, OWN)] == [name]


@pytest.mark.parametrize("study", ["runs: [", "runs: {signs: {fit: --config ce.yaml, another: 1}}"])
def test_a_run_whose_study_cannot_be_read_is_listed(paths: AllowedPaths, study: str) -> None:
    files.write_text(paths.job("signs").folder / PLAN, study)
    assert [row[0] for row in rows(paths, OWN)] == ["signs"]
    assert tunings(paths) == []
    with pytest.raises(InputError, match=r"cannot be read as YAML|has no key another"):
        resume(paths, "signs")


@pytest.mark.parametrize("state", ["null", "[1]", "{"])
def test_a_run_whose_state_is_damaged_is_listed(paths: AllowedPaths, state: str) -> None:
    files.write_text(paths.job("signs").folder / STATE, state)
    assert [row[0] for row in rows(paths, OWN)] == ["signs"]


def test_a_measure_that_is_missing_is_a_dash(paths: AllowedPaths) -> None:
    home = paths.runs / "signs" / "test"
    home.mkdir()
    found = {"top1": 0.5, "hm": None, "counts": [3], "recall": [0.5], "classes": ["a"], "adjustments": [], "config": {}}
    (home / "metrics.json").write_text(json.dumps(found))
    text = standing(paths, paths.job("signs"))
    assert "<b>50.0</b><span>top-1 (%)" in text
    assert "<b>-</b><span>HM (%)" in text


def test_a_folder_that_no_run_can_be_called_is_passed_over(paths: AllowedPaths) -> None:
    shutil.copytree(paths.runs / "signs", paths.runs / "signs ")
    assert [row[0] for row in rows(paths, OWN)] == ["signs"]


def test_the_state_tells_stopped_trained_and_tested_apart(paths: AllowedPaths) -> None:
    assert cells(paths)["state"] == "not trained"
    curves(paths, 5)
    (paths.runs / "signs" / "last.ckpt").write_text("weights")
    assert cells(paths)["state"] == "stopped at 5/30"
    curves(paths, 30)
    assert cells(paths)["state"] == "trained"
    (paths.runs / "signs" / "test").mkdir()
    (paths.runs / "signs" / "test" / "metrics.json").write_text(
        json.dumps({"top1": 0.5, "counts": [3], "recall": [0.5], "classes": ["a"], "adjustments": [], "config": {}})
    )
    assert cells(paths)["state"] == "tested"
    with paths.run("signs").lock.hold():
        assert cells(paths)["state"] == "running"


def test_an_imbalance_factor_that_was_not_used_is_not_shown(paths: AllowedPaths) -> None:
    assert cells(paths)["data"] == "FolderLT"
    config = CONFIG | {"data": {"class_path": "ltr.data.CIFAR100LT", "init_args": {"imbalance": 100.0}}}
    (paths.runs / "signs" / "config.yaml").write_text(yaml.safe_dump(config))
    assert cells(paths)["data"] == "CIFAR100LT, IF 100"
