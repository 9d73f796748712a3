"""What the tab does with what a browser posts, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from filelock import FileLock

from ltr import files
from ltr.app.compare import OWN, RUNS, TUNE, shown, started, stopped, watched
from ltr.app.job import Job
from ltr.app.offers import offered, tunings
from ltr.app.place import Place
from ltr.app.tuning import BEFORE
from ltr.errors import InputError

FORM = {
    "base": "base", "loss": "GML", "name": "tuned", "file": "", "architecture": "ResNet32", "kind": "DigitsLT",
    "epochs": 3, "rate": 0.1, "batch": 32, "seed": 0, "root": "", "imbalance": 50, "profile": "exp",
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a place with a run that has weights."""
    monkeypatch.chdir(tmp_path)
    place = Place(Path("checkpoints"), (tmp_path,))
    (place.runs / "base").mkdir(parents=True)
    torch.save({"state_dict": {}}, place.runs / "base" / "last.ckpt")
    return place


def post(place: Place, **said: Any) -> Any:
    """Press the button."""
    form = FORM | said
    return started(tuple(form), place, *form.values())


@pytest.mark.parametrize(
    "said",
    [
        {"base": "../base"}, {"base": None}, {"file": "/etc/passwd"}, {"name": "a/b"}, {"name": ".."}, {"name": ""},
        {"loss": "GLM"}, {"loss": None}, {"kind": OWN}, {"kind": "FileDataset"}, {"profile": "none;"}, {"root": "/"},
        {"epochs": -1}, {"epochs": 1e9}, {"epochs": "ten"}, {"epochs": None}, {"rate": -1}, {"imbalance": 0},
    ],
    ids=str,
)  # fmt: skip
def test_nothing_is_started_for_what_cannot_be(
    place: Place, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Job, "start", lambda *_: pytest.fail("a process was started"))
    with pytest.raises(InputError):
        post(place, **said)
    assert not place.own.exists()


def test_one_job_does_it_all(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "start", note)
    assert post(place).value == "tuned"
    commands = Job.of(place, "tuned").commands
    assert [words[0] for words in commands] == ["fit", "test", "fit", "test", "test"]
    assert all(isinstance(word, str) for words in commands for word in words)


def note(job: Job, commands: list[list[str]], *, step: int = 0, code: int | None = None, log: str = "") -> None:
    """Write what a process would have written."""
    job.folder.mkdir(parents=True, exist_ok=True)
    files.write_json(job.folder / "job.json", {"commands": commands})
    files.write_json(job.folder / "state.json", {"pid": 0, "step": step, "code": code})
    files.write_text(job.folder / "log.txt", f"$ {job.command}\n{log}")


def test_a_job_is_followed_until_its_end_and_told_once(place: Place) -> None:
    job = Job.of(place, "tuned")
    commands = [["fit", "--name", "tuned"], ["test"], ["fit", "--name", f"tuned{BEFORE}"], ["test"], ["test"]]
    with FileLock(job.folder / "lock"):
        note(job, commands, log="tuned:  50%|#####     | 20/40 [00:10<00:12,  2.00epoch/s, loss=0.7<b>]")
        status, stop, words, log, timer, seen, over = watched(place, "tuned")
        assert "Command 1 of 5, tuning: epoch 20 of 40, 00:12 left. loss=0.7&lt;b&gt;" in status
        assert 'aria-valuenow="10"' in status
        assert words.splitlines()[2] == f"ltr fit --name tuned{BEFORE}"
        assert log.endswith("loss=0.7<b>]")
        assert stop.visible
        assert timer.active
        assert over == ("tuned", "running")
        assert watched(place, "tuned", seen) == [gr.skip()] * 7, "an unchanged job was told again"
    note(job, commands, step=2, code=2, log="ltr: error: there is no checkpoint <nothing>.")
    status, stop, *_, timer, seen, over = watched(place, "tuned", seen)
    assert "tuned failed at command 3 of 5: there is no checkpoint &lt;nothing&gt;." in status
    assert not stop.visible
    assert not timer.active
    assert over == ("tuned", "failed")
    assert [job.name for job in tunings(place)] == ["tuned"]


def test_without_a_choice_there_is_nothing(place: Place) -> None:
    assert watched(place, None)[0] == ""
    assert shown(place, TUNE, "tuned", [])[:2] == ["", ""]
    assert "Choose two runs" in shown(place, RUNS, None, ["base"])[0]
    for function in (
        lambda: watched(place, "../base"),
        lambda: stopped(place, None),
        lambda: shown(place, TUNE, "a/b", []),
    ):
        with pytest.raises(InputError):
            function()


def test_lists_are_of_what_there_is(place: Place) -> None:
    base, architecture, kind, profile, loss, start, tuning, runs = offered(place, None, None)
    assert base.value == "base"
    assert ("ResNet44", "ResNet44") in architecture.choices
    assert kind.choices[0] == (OWN, OWN)
    assert [value for value, _ in profile.choices][:2] == ["exp", "step"]
    assert loss.value == "GML"
    assert tuning.choices == []
    assert "base" in place.having("last.ckpt")
    assert "base" not in [value for value, _ in runs.choices]
    assert all(widget.interactive for widget in (base, architecture, kind, profile, loss, start, tuning, runs))


def test_a_tab_that_is_opened_again_keeps_what_was_chosen(place: Place) -> None:
    """The lists come late; a value in them would undo a choice that was made meanwhile."""
    Job.of(place, "tuned").start([["--version"], ["fit", "--name", "tuned_before"]])
    assert offered(place, None, None)[-2].value == "tuned"
    again = offered(place, "base", "tuned")
    assert not any("value" in widget.constructor_args for widget in again)
