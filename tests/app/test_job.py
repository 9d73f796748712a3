"""Processes that the page starts, and finds again."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from ltr import files
from ltr.app.job import Job
from ltr.app.place import Place
from ltr.app.work import work
from ltr.errors import InputError

LONG = "fit --config ce.yaml --config data/digits.yaml --model.backbone ResNet20 --trainer.max_epochs 5000 --name long"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "runs")


def ended(job: Job) -> Job:
    """Wait until a job is over."""
    deadline = time.monotonic() + 60
    while job.running and time.monotonic() < deadline:
        time.sleep(0.05)
    return job


def test_commands_run_one_after_the_other(place: Place) -> None:
    job = Job.of(place, "a")
    job.start([["--version"], ["--help"]])
    assert ended(job).state == "finished"
    assert "usage: ltr VERB" in job.log.partition("\n0.")[2]
    assert job.command == "ltr --version && ltr --help"
    assert [one.name for one in Job.all(place)] == ["a"]


def test_the_first_failure_ends_it_with_its_sentence(place: Place) -> None:
    job = Job.of(place, "a")
    job.start([["nonsense"], ["--help"]])
    assert ended(job).state == "failed"
    assert job.failure.startswith("there is no verb nonsense")
    assert "usage" not in job.log


@pytest.mark.parametrize(("command", "there"), [("--version", False), ("nonsense", True)])
def test_what_is_not_wanted_goes_when_all_is_well(place: Place, command: str, there: bool) -> None:
    weights = place.runs / "last.ckpt"
    weights.parent.mkdir()
    weights.write_text("weights")
    job = Job.of(place, "a")
    job.start([[command]], unwanted=[weights])
    ended(job)
    assert weights.exists() is there


def test_of_two_starts_one_runs(place: Place) -> None:
    refused: list[str] = []

    def start() -> None:
        try:
            Job.of(place, "long").start([[*LONG.split(), "--runs", str(place.runs)]])
        except InputError as error:
            refused.append(str(error))

    both = [threading.Thread(target=start) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    job = Job.of(place, "long")
    assert job.running
    assert [sentence.partition(":")[0] for sentence in refused] == ["the run long is at work already"]
    with pytest.raises(InputError, match="stop it first"):
        job.forget()
    job.stop()
    assert ended(job).state == "stopped"
    job.forget()
    assert not job.known


def test_a_job_that_is_killed_from_outside_was_stopped(place: Place) -> None:
    job = Job.of(place, "long")
    job.start([[*LONG.split(), "--runs", str(place.runs)]])
    assert job.running
    os.kill(json.loads((job.folder / "state.json").read_text())["pid"], signal.SIGKILL)
    assert ended(job).state == "stopped"


def test_who_only_looks_is_not_taken_for_the_one_at_work(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltr.app.job.GLANCE", 30.0)
    monkeypatch.setattr("ltr.app.work.PATIENCE", 30.0)
    job = Job.of(place, "a")
    job.folder.mkdir(parents=True)
    files.write_json(job.folder / "job.json", {"commands": [["--version"]], "unwanted": []})
    for ask, answer in ((lambda: job.running, False), (lambda: work(job.folder), 0)):
        looker = FileLock(job.folder / "lock", thread_local=False)
        looker.acquire()
        threading.Timer(0.05, looker.release).start()
        assert ask() == answer


def test_the_bar_of_a_log_is_read(place: Place) -> None:
    job = Job.of(place, "a")
    job.folder.mkdir(parents=True)
    first = "ce:   0%|   | 0/30 [00:00<?, ?epoch/s]"
    bars = f"{first}\rce:  43%|####   | 12.9/30 [00:31<00:41,  2.4s/epoch, loss=1.2, test top-1=30.1]"
    (job.folder / "log.txt").write_text(f"$ ltr fit\n{bars}")
    progress = job.progress
    assert progress is not None
    assert (progress.epoch, progress.epochs, progress.left) == (12.9, 30, "00:41")
    assert progress.words == "loss=1.2, test top-1=30.1"
    assert job.log.count("ce:") == 1
    (job.folder / "log.txt").write_text(f"$ ltr fit\n{bars}\n$ ltr test\n")
    assert job.progress is None


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", ""])
def test_a_job_is_no_path(place: Place, name: str) -> None:
    with pytest.raises(InputError):
        Job.of(place, name)
