"""What the tab does with what a browser posts, without a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
import yaml

from ltr import files
from ltr.app.allowed_paths import AllowedPaths
from ltr.app.compare import OWN, runs_of, started, stopped, tuning_of, watched
from ltr.app.job import JOBS, LOG, PLAN, STATE, Job, beside
from ltr.app.results import shown
from ltr.app.tuning_form import offered, tunings
from ltr.errors import InputError
from ltr.run.folder import BEFORE

FORM = {
    "base": "base", "loss": "GML", "name": "tuned", "file": "", "architecture": "ResNet32", "kind": "DigitsLT",
    "epochs": 3, "rate": 0.1, "batch": 32, "seed": 0, "root": "", "imbalance": 50, "tail": "exp",
}  # fmt: skip


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AllowedPaths:
    """Return a paths with a run that has weights."""
    monkeypatch.chdir(tmp_path)
    paths = AllowedPaths(Path("checkpoints"), (tmp_path,))
    (paths.runs / "base").mkdir(parents=True)
    torch.save({"state_dict": {}}, paths.runs / "base" / "last.ckpt")
    return paths


def post(paths: AllowedPaths, **said: Any) -> Any:
    """Press the button."""
    form = FORM | said
    return started(tuple(form), paths, *form.values())


@pytest.mark.parametrize(
    "said",
    [
        {"base": "../base"}, {"base": None}, {"file": "/etc/passwd"}, {"name": "a/b"}, {"name": ".."}, {"name": ""},
        {"loss": "GLM"}, {"loss": None}, {"kind": OWN}, {"kind": "FileDataset"}, {"tail": "none;"}, {"root": "/"},
        {"epochs": -1}, {"epochs": 1e9}, {"epochs": "ten"}, {"epochs": None}, {"rate": -1}, {"imbalance": 0},
    ],
    ids=str,
)  # fmt: skip
def test_nothing_is_started_for_what_cannot_be(
    paths: AllowedPaths, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Job, "start", lambda *_, **__: pytest.fail("a process was started"))
    with pytest.raises(InputError):
        post(paths, **said)
    assert not paths.own.exists()
    assert not (paths.runs / JOBS).exists()


def test_one_job_does_it_all(paths: AllowedPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "start", note)
    assert post(paths).value == "tuned"
    commands = paths.job("tuned").commands
    assert [words[0] for words in commands] == ["fit", "test", "fit", "test", "test"]
    assert all(isinstance(word, str) for words in commands for word in words)


STUDY = beside(
    {
        "tuned": {"title": "tuning", "fit": "--config gml.yaml"},
        f"tuned{BEFORE}": {"title": "network before", "fit": "--config pretrained.yaml"},
    }
)


def note(job: Job, study: dict[str, Any], *, code: int | None = None, log: str = "") -> None:
    """Write what a process would have written."""
    files.write_text(job.folder / PLAN, yaml.safe_dump(study, sort_keys=False))
    files.write_json(job.folder / STATE, {"pid": 0, "code": code})
    files.write_text(job.folder / LOG, log)


def test_a_job_is_followed_until_its_end_and_told_once(paths: AllowedPaths) -> None:
    job = paths.job("tuned")
    with job.lock.hold():
        note(job, STUDY, log="loss=0.7<b>")
        files.write_text(paths.runs / "tuned" / "config.yaml", "trainer: {max_epochs: 4}")
        files.write_text(paths.runs / "tuned" / "metrics.csv", "epoch,train/loss\n0,1\n1,1\n")
        status, stop, words, log, timer, seen, over = watched(paths, "tuned")
        assert "tuning (1 of 2): epoch 2 of 4" in status
        assert 'aria-valuenow="25"' in status
        assert words.splitlines()[2].startswith("ltr fit --config pretrained.yaml")
        assert words.splitlines()[2].endswith(f"--name tuned{BEFORE}")
        assert log == "loss=0.7<b>"
        assert stop.visible
        assert timer.active
        assert over == ("tuned", "running")
        assert watched(paths, "tuned", seen) == [gr.skip()] * 7, "an unchanged job was told again"
    note(job, STUDY, code=2, log="ltr: error: there is no checkpoint <nothing>.")
    status, stop, *_, timer, seen, over = watched(paths, "tuned", seen)
    assert "tuned failed at tuning (1 of 2): epoch 2 of 4: there is no checkpoint &lt;nothing&gt;." in status
    assert not stop.visible
    assert not timer.active
    assert over == ("tuned", "failed")
    assert [job.name for job in tunings(paths)] == ["tuned"]


def test_without_a_choice_there_is_nothing(paths: AllowedPaths) -> None:
    assert watched(paths, None)[0] == ""
    assert tuning_of(paths, "tuned") is None
    assert runs_of(paths, ["base"]) is None
    assert shown(None)[:2] == ["", ""]
    for function in (
        lambda: watched(paths, "../base"),
        lambda: stopped(paths, None),
        lambda: tuning_of(paths, "a/b"),
    ):
        with pytest.raises(InputError):
            function()


def test_lists_are_of_what_there_is(paths: AllowedPaths) -> None:
    base, architecture, kind, profile, loss, start, tuning, runs = offered(paths, None, None)
    assert base.value == "base"
    assert ("ResNet44", "ResNet44") in architecture.choices
    assert kind.choices[0] == (OWN, OWN)
    assert [value for value, _ in profile.choices][:2] == ["exp", "step"]
    assert loss.value == "GML"
    assert tuning.choices == []
    assert "base" in paths.with_weights()
    assert "base" not in [value for value, _ in runs.choices]
    assert all(widget.interactive for widget in (base, architecture, kind, profile, loss, start, tuning, runs))


def test_a_run_that_is_tuned_already_is_not_proposed(paths: AllowedPaths) -> None:
    folder = paths.runs / "tuned_by_hand"
    folder.mkdir()
    (folder / "last.ckpt").touch()
    (folder / "config.yaml").write_text("model:\n  class_path: ltr.methods.Tuning\n")
    os.utime(folder, (2**32, 2**32))
    base = offered(paths, None, None)[0]
    assert base.choices[0][1] == "tuned_by_hand", "the latest"
    assert base.value == "base"


def test_a_tab_that_is_opened_again_keeps_what_was_chosen(paths: AllowedPaths) -> None:
    """The lists come late; a value in them would undo a choice that was made meanwhile."""
    note(paths.job("tuned"), STUDY)
    assert offered(paths, None, None)[-2].value == "tuned"
    again = offered(paths, "base", "tuned")
    assert not any("value" in widget.constructor_args for widget in again)
