"""What counts as a run, and what is deleted with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ltr.errors import InputError
from ltr.run.folder import RunFolder, plain_name


def write(home: Path, *names: str) -> None:
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")


def left(home: Path) -> list[str]:
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["", " ", "a ", ".", "..", ".a", "a/b", "a\\b", "../a", "/a", "a\n", "x" * 201])
def test_a_path_is_no_name(name: str) -> None:
    with pytest.raises(InputError, match="the name of the study cannot be"):
        plain_name(name, "the name of the study")


@pytest.mark.parametrize("name", ["a", "ce-0", "gml.b+c", "my run", "Übung", "me--mine", "x" * 200])
def test_a_plain_name(name: str, tmp_path: Path) -> None:
    assert RunFolder.of(tmp_path, name).path == tmp_path / name


@pytest.mark.parametrize("sign", ["last.ckpt", "metrics.csv", "test/metrics.json", "ensemble/metrics.json"])
def test_what_a_run_is(sign: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    run.check_writable(overwrite=False)
    write(run.path, "thesis.txt", "test/thesis.txt")
    assert not run.exists
    run.check_writable(overwrite=False)
    with pytest.raises(InputError, match="no run of `ltr`, so `--overwrite` does not replace it"):
        run.check_writable(overwrite=True)
    with pytest.raises(InputError, match="nothing in it is deleted"):
        run.delete()
    write(run.path, sign)
    assert run.exists
    with pytest.raises(InputError, match="exists already"):
        run.check_writable(overwrite=False)
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
