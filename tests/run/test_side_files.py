"""Config and curves beside a checkpoint are compared with those in it, by every reader of a run."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from ltr import files
from ltr.run.folder import RunFolder
from ltr.run.side_files import plain_values

RUN = Path("checkpoints/plain")


@pytest.fixture
def run(trained, tmp_path: Path) -> RunFolder:
    """A trained run that may be damaged."""
    trained("--name plain --trainer.max_epochs 3")
    return RunFolder(Path(shutil.copytree(RUN, tmp_path / "copy")))


def again(run: RunFolder) -> RunFolder:
    return RunFolder(run.path)


def test_plain_values_are_those_that_torch_reads(run: RunFolder) -> None:
    content, found = torch.load(run.checkpoint, weights_only=True), plain_values(run.checkpoint)
    assert found.keys() == content.keys()
    plain = [key for key, value in content.items() if isinstance(value, str | int | float)]
    assert {"config", "epoch", "seconds"} <= {*plain}
    for key in (*plain, "curves", "provenance", "classes"):
        assert found[key] == content[key]


def test_plain_values_need_no_torch(run: RunFolder) -> None:
    code = "import sys, pathlib; from ltr.run.folder import RunFolder; run = RunFolder(pathlib.Path(sys.argv[1])); "
    code += "print(len(run.rows), 'max_epochs' in run.config_text, 'torch' in sys.modules)"
    run.config_file.unlink()
    done = subprocess.run([sys.executable, "-c", code, run.path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "True", "False"]


class Runs:
    """What unpickling would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def test_no_code_of_a_checkpoint_runs(tmp_path: Path) -> None:
    ran, file = tmp_path / "ran", tmp_path / "last.ckpt"
    content = pickle.dumps({"config": "a: 1", "nested": [{"x": Runs(ran)}]})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("last/data.pkl", content)
    assert plain_values(file)["config"] == "a: 1"
    assert not ran.exists()
    pickle.loads(content)
    assert ran.exists(), "the file would run code"


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "flipped", "compressed", "other", "list"])
def test_a_file_without_readable_values_gives_none(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    torch.save([1] if kind == "list" else {"config": "name: inside"}, file)
    content = file.read_bytes()
    if kind == "missing":
        file.unlink()
    elif kind == "text":
        file.write_text("no archive")
    elif kind == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif kind == "flipped":
        file.write_bytes(content.replace(b"name: inside", b"name: InsidE"))
    elif kind in ("compressed", "other"):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("last/data.pkl" if kind == "compressed" else "a/b/data.pkl", pickle.dumps({"config": "a"}))
    assert plain_values(file) == {}


@pytest.mark.parametrize("change", [("0.", "0.9", 1), ("\n", "\n\n", 1), ("epoch", "epocH", 1)], ids=str)
def test_changed_curves_are_noted_and_not_used(run: RunFolder, change: tuple[str, str, int]) -> None:
    curves, text = run.curves, run.curves_file.read_text()
    assert len(curves) == 3
    run.curves_file.write_text(text.replace(*change))
    with pytest.warns(UserWarning, match=r"metrics\.csv is damaged: the curves in .*last\.ckpt are used"):
        assert again(run).curves == curves


@pytest.mark.parametrize("rows", [1, 2, 3, None])
def test_curves_of_any_length_are_those_of_the_checkpoint(run: RunFolder, rows: int | None) -> None:
    curves, kept = run.curves, plain_values(run.checkpoint)["curves"]
    for cut in (0, 3):
        if rows is None:
            run.curves_file.unlink(missing_ok=True)
        else:
            written = files.csv_text(kept[:rows])
            run.curves_file.write_text(written[: len(written) - cut])
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            assert again(run).curves == curves
        assert bool(notes) == (rows is not None and cut > 0), "an interrupted write is no damage"


def test_a_checkpoint_with_other_curves_leaves_the_file(run: RunFolder) -> None:
    curves = run.curves
    for kept in ([], [{"epoch": 0}], {"epoch": "0"}, "epoch"):
        torch.save({"state_dict": {}, "curves": kept}, run.checkpoint)
        assert again(run).curves == curves


def test_a_report_notes_what_is_edited_or_damaged(run: RunFolder, ltr) -> None:
    run.config_file.write_text(run.config_file.read_text().replace("max_epochs: 3", "max_epochs: 4"))
    run.curves_file.write_text(run.curves_file.read_text().replace("0.", "0.9", 1))
    with (
        pytest.warns(UserWarning, match=r"config\.yaml is not the config that"),
        pytest.warns(UserWarning, match=r"metrics\.csv is damaged: the curves in"),
    ):
        assert ltr(f"report {run.path}") == 0
    assert "max_epochs: 4" in Path("report.html").read_text()
