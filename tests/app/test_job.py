"""Processes that the page starts, and finds again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ltr import files
from ltr.app.allowed_paths import AllowedPaths
from ltr.app.watch import read_progress
from ltr.app.worker import exit_status, start
from ltr.errors import InputError
from ltr.run import job as job_module
from ltr.run.job import Job

LONG = "fit --config ce.yaml --config data/digits.yaml --model.backbone ResNet20 --trainer.max_epochs 5000 --name long"


@pytest.fixture
def paths(tmp_path: Path) -> AllowedPaths:
    return AllowedPaths(tmp_path / "runs")


def ended(job: Job) -> Job:
    """Wait until a job is over."""
    deadline = time.monotonic() + 60
    while job.running and time.monotonic() < deadline:
        time.sleep(0.05)
    return job


def test_commands_run_one_after_the_other(paths: AllowedPaths) -> None:
    job = paths.job("a")
    start(paths, "a", [["test", "--help"], ["fit", "--help"]])
    assert ended(job).state == "finished"
    assert "usage: ltr fit" in job.log.partition("usage: ltr test")[2]
    assert job.command == "ltr test --help && ltr fit --help"
    assert [one.name for one in paths.jobs()] == ["a"]


def test_the_first_failure_ends_it_with_its_sentence(paths: AllowedPaths) -> None:
    job = paths.job("a")
    start(paths, "a", [["fit", "--nonsense", "1"], ["fit", "--help"]])
    assert ended(job).state == "failed"
    assert job.failure.startswith("there is no option nonsense")
    assert "usage" not in job.log


@pytest.mark.parametrize(("command", "there"), [("fit --help", False), ("fit --nonsense 1", True)])
def test_what_is_not_wanted_goes_when_all_is_well(paths: AllowedPaths, command: str, there: bool) -> None:
    weights = paths.runs / "last.ckpt"
    weights.parent.mkdir()
    weights.write_text("weights")
    job = paths.job("a")
    start(paths, "a", [command.split()], unwanted=[weights])
    ended(job)
    assert weights.exists() is there


def test_of_two_starts_one_runs(paths: AllowedPaths) -> None:
    refused: list[str] = []

    def try_start() -> None:
        try:
            start(paths, "long", [[*LONG.split(), "--runs", str(paths.runs)]])
        except InputError as error:
            refused.append(str(error))

    both = [threading.Thread(target=try_start) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    job = paths.job("long")
    assert job.running
    assert [sentence.partition(":")[0] for sentence in refused] == ["the run long is running already"]
    with pytest.raises(InputError, match="stop it first"):
        job.forget()
    job.stop()
    assert ended(job).state == "stopped"
    job.forget()
    assert not job.known


def test_a_job_that_is_killed_from_outside_was_stopped(paths: AllowedPaths) -> None:
    job = paths.job("long")
    start(paths, "long", [[*LONG.split(), "--runs", str(paths.runs)]])
    assert job.running
    os.kill(json.loads((job.folder / "state.json").read_text())["pid"], signal.SIGKILL)
    assert ended(job).state == "stopped"


def test_who_only_looks_is_not_taken_for_the_one_at_work(paths: AllowedPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "PEEK", 30.0)
    monkeypatch.setattr(job_module, "WORKER_TIMEOUT", 30.0)
    job = paths.job("a")
    job.folder.mkdir(parents=True)
    files.write_json(job.folder / "job.json", {"commands": [["fit", "--help"]], "unwanted": []})
    for ask, answer in ((lambda: job.running, False), (lambda: job.work(exit_status), 0)):
        looker = FileLock(job.folder / "lock", thread_local=False)
        looker.acquire()
        threading.Timer(0.05, looker.release).start()
        assert ask() == answer


def test_the_bar_of_a_log_is_read(paths: AllowedPaths) -> None:
    job = paths.job("a")
    job.folder.mkdir(parents=True)
    first = "ce:   0%|   | 0/30 [00:00<?, ?epoch/s]"
    bars = f"{first}\rce:  43%|####   | 12.9/30 [00:31<00:41,  2.4s/epoch, loss=1.2, test top-1=30.1]"
    (job.folder / "log.txt").write_text(f"$ ltr fit\n{bars}")
    progress = read_progress(job.log)
    assert progress is not None
    assert (progress.epoch, progress.epochs, progress.left) == (12.9, 30, "00:41")
    assert progress.measures == "loss=1.2, test top-1=30.1"
    assert job.log.count("ce:") == 1
    (job.folder / "log.txt").write_text(f"$ ltr fit\n{bars}\n$ ltr test\n")
    assert read_progress(job.log) is None


def test_a_run_that_another_command_works_on_is_left_alone(paths: AllowedPaths) -> None:
    """A study holds the same lock; the process id in the state may belong to another program by now."""
    job = paths.job("study/ce-0")
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with job.locked():
        files.write_json(job.folder / "job.json", {"commands": [["fit", "--help"]], "unwanted": []})
        files.write_json(job.folder / "state.json", {"pid": bystander.pid, "step": 0, "code": None})
        assert job.running
        with pytest.raises(InputError, match="running already"):
            start(paths, "study/ce-0", [["fit", "--help"]])
        with pytest.raises(InputError, match="stop that command"):
            job.stop()
        with pytest.raises(InputError, match="stop it first"):
            job.forget()
    assert bystander.poll() is None
    bystander.communicate(b"\n")
    assert not job.running


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", ""])
def test_a_job_is_no_path(paths: AllowedPaths, name: str) -> None:
    with pytest.raises(InputError):
        paths.job(name)


def test_commands_trust_the_packages_of_the_page_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(Job, "start", lambda _job, commands, *_, **__: started.append(commands))
    paths = AllowedPaths(tmp_path, packages=("mine", "theirs"))
    expected = [["fit", "--name", "mine", "--trust", "mine", "--trust", "theirs"]]
    start(paths, "a", [["fit", "--name", "mine"]])
    start(paths, "a", started[0])
    assert started == [expected, expected]
