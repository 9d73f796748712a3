"""What counts as a run, and what is deleted with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pages import make_metrics, make_run

from ltr.errors import InputError
from ltr.run.checkpoint_config import own_config
from ltr.run.evaluation import made_with, write_arguments
from ltr.run.folder import RunFolder, plain_name


def write(home: Path, *names: str) -> None:
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")


def left(home: Path) -> list[str]:
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "name", ["", " ", "a ", ".", "..", ".a", "a/b", "a\\b", "../a", "/a", "a\n", "x" * 201, "é" * 101]
)
def test_a_path_is_no_name(name: str) -> None:
    with pytest.raises(InputError, match="the name of the study cannot be"):
        plain_name(name, "the name of the study")


@pytest.mark.parametrize("name", ["a", "ce-0", "gml.b+c", "my run", "Übung", "me--mine", "x" * 200, "é" * 100])
def test_a_plain_name(name: str, tmp_path: Path) -> None:
    assert RunFolder.of(tmp_path, name).path == tmp_path / name


@pytest.mark.parametrize("sign", ["last.ckpt", "metrics.csv", "test/metrics.json", "ensemble/metrics.json"])
def test_what_a_run_is(sign: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    run.check_writable(overwrite=False)
    write(run.path, "thesis.txt", "test/thesis.txt")
    assert not run.exists
    run.check_writable(overwrite=False)
    with pytest.raises(InputError, match="not a run of `ltr`, so `--overwrite` does not replace it"):
        run.check_writable(overwrite=True)
    with pytest.raises(InputError, match="nothing in it is deleted"):
        run.delete()
    write(run.path, sign)
    assert run.exists
    with pytest.raises(InputError, match="exists already"):
        run.check_writable(overwrite=False)
    run.check_writable(overwrite=True)


def test_a_run_whose_replacement_was_killed_can_be_replaced(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    names = ["last.ckpt", "metrics.csv", "previous.ckpt", "config.yaml", "test/metrics.json", "test/predictions.pt"]
    write(run.path, ".last.1234567.ckpt", *names)  # the temporary file of the new one
    for path in reversed(run.files):
        assert run.exists
        run.check_writable(overwrite=True)
        path.unlink()
    assert not run.exists
    (run.path / "test").rmdir()
    run.check_writable(overwrite=True)


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path, "a")
    with pytest.raises(InputError, match="is a file: remove it"):
        RunFolder(tmp_path / "a").check_writable(overwrite=True)


def test_a_folder_of_runs_is_no_run(tmp_path: Path) -> None:
    write(tmp_path, "study/a/last.ckpt", "study/a/test/metrics.json", "study/table.md")
    study = RunFolder(tmp_path / "study")
    with pytest.raises(InputError, match="does not replace it"):
        study.check_writable(overwrite=True)
    with pytest.raises(InputError, match="nothing in it is deleted"):
        study.delete()
    assert len(left(tmp_path)) == 3


def test_a_run_is_deleted_with_all_its_files_and_folders(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    names = ["last.ckpt", "config.yaml", "metrics.csv", "wandb.json", "test/metrics.json", "test/predictions.pt"]
    names += ["test/recall.png", "test/arguments.json", "predict/predictions.csv", "predict/predictions.pt"]
    names += ["shifts/shifts.csv", "shifts/shifts.png", "sets/conformal.json", "sets/sets.pt"]
    write(run.path, *names)
    assert sorted(path.relative_to(run.path).as_posix() for path in run.files) == sorted(names)
    run.delete()
    assert not run.path.exists()


def test_files_of_others_survive_where_a_run_is_deleted(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    write(run.path, "last.ckpt", "test/metrics.json", "inner/last.ckpt")
    mine = [
        "inner/last.ckpt",
        "lightning_logs/version_0/metrics.csv",
        "notes.txt",
        "photos/recall.png",
        "test/mine.txt",
    ]
    write(run.path, *mine)
    write(tmp_path, "elsewhere/metrics.json")
    os.symlink(tmp_path / "elsewhere", run.path / "link")
    run.delete()
    assert left(run.path) == mine
    assert (tmp_path / "elsewhere" / "metrics.json").is_file()


@pytest.mark.slow
def test_every_file_that_a_command_writes_is_known(trained, ltr) -> None:
    trained("--name a --data.val_per_class 2")
    assert ltr("test --ckpt_path a") == 0
    assert ltr("predict --ckpt_path a") == 0
    assert ltr("test --ckpt_path a --config conformal.yaml --evaluation sets") == 0
    assert ltr("test --ckpt_path a --config shifts.yaml --evaluation shifts --trainer.callbacks.factors [2]") == 0
    run = RunFolder(Path("checkpoints/a"))
    assert sorted(run.files) == sorted(path for path in run.path.rglob("*") if path.is_file())
    assert [one.name for one in run.evaluations] == ["test", "sets", "shifts"]
    run.delete()
    assert not run.path.exists()


def test_what_is_read_of_a_run(tmp_path: Path) -> None:
    run = RunFolder(make_run(tmp_path / "a"))
    assert (run.name, run.main, run.evaluations) == ("a", None, ())
    assert run.config["seed_everything"] == 3
    assert [row["epoch"] for row in run.rows] == ["0", "1"]
    assert [row.get("test/top1") for row in run.curves] == [None, 0.3], "what was not measured is not there"
    assert run.fit_command == f"ltr fit --config {run.path}/config.yaml --name a_again"
    assert run.test_command(None) == f"ltr test --ckpt_path {run.path}"
    for name in ("a_first", "test", "z"):
        make_metrics(run.path / name)
    run = RunFolder(run.path)
    assert [one.name for one in run.evaluations] == ["test", "a_first", "z"]
    assert run.main is not None
    assert run.main.name == "test"
    write_arguments(run.path / "test", {"fit": ["--config", "ce.yaml"], "test": []})
    assert run.fit_command == "ltr fit --config ce.yaml --seed_everything 3 --name a_again"
    write_arguments(run.path / "test", {"fit": ["--trust", "mine"], "test": []})
    assert run.fit_command == f"ltr fit --config {run.path}/config.yaml --name a_again", "it went on from a checkpoint"
    assert run.tested("z")
    assert not run.tested("y")


def test_the_config_is_the_file_else_what_the_checkpoint_holds_else_what_was_tested(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    make_metrics(tmp_path / "test", config={"name": "tested"})
    assert RunFolder(tmp_path).config == {"name": "tested"}
    torch.save({"state_dict": {}, "config": "name: inside"}, run.checkpoint)
    assert RunFolder(tmp_path).config == {"name": "inside"}
    assert own_config(run.checkpoint) == "name: inside"
    run.config_file.write_text("name: beside")
    for read in (lambda: RunFolder(tmp_path).config_text, lambda: own_config(run.checkpoint)):
        with pytest.warns(UserWarning, match="is not the config that"):
            assert read() == "name: beside"
    torch.save({"state_dict": {}}, tmp_path / "foreign.pt")
    with pytest.raises(InputError, match=r"is not a run of `ltr`: there is no config in it or beside it"):
        own_config(tmp_path / "foreign.pt")


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("metrics.csv", "epoch,train/loss\n0,no number\n", "curves"),
        ("config.yaml", "a: [", "config"),
        ("config.yaml", "name: 2024-02-30", "config"),
        ("test/metrics.json", "{", "evaluations"),
        ("test/metrics.json", '{"counts": [1]}', "main"),
    ],
)
def test_damaged_files_get_a_sentence(file: str, content: str, what: str, tmp_path: Path) -> None:
    write(tmp_path, file)
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=r"(is damaged: .*[Dd]elete it|is not valid YAML)"):
        getattr(RunFolder(tmp_path), what)


@pytest.mark.parametrize(
    "wrong",
    [
        {"top1": "high"},
        {"hm": [0.1]},
        {"recall": [0.5, "x", None, 0.1, 0.2]},
        {"recall": [0.5]},
        {"counts": ["many", 1, 1, 1, 1]},
        {"adjustments": ["NCM"]},
        {"data": "CIFAR"},
        {"config": None},
    ],
)
def test_a_result_of_other_types_is_damaged(wrong: dict[str, object], tmp_path: Path) -> None:
    make_metrics(tmp_path / "test")
    path = tmp_path / "test/metrics.json"
    assert RunFolder(tmp_path).main is not None
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    with pytest.raises(InputError, match=r"is damaged: it is not the result of a test\. Delete it"):
        RunFolder(tmp_path).evaluations  # noqa: B018, it is read


def test_a_result_knows_its_arguments(tmp_path: Path) -> None:
    assert made_with(tmp_path, {"fit": ["--a"]}), "nothing is known of it"
    write_arguments(tmp_path, {"fit": ["--a"], "test": []})
    assert made_with(tmp_path, {"fit": ["--a"], "test": []})
    assert not made_with(tmp_path, {"fit": ["--b"], "test": []})


def test_a_run_is_read_without_torch() -> None:
    code = "import sys, ltr.run.folder, ltr.run.lookup; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
