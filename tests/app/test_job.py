"""Studies that the page starts as processes, and finds again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from tiny import TINY

from ltr import files
from ltr.app.allowed_paths import AllowedPaths
from ltr.app.job import LOG, PLAN, STATE, Job, beside
from ltr.app.watch import resume, state
from ltr.errors import InputError
from ltr.run import lock
from ltr.run.folder import RunFolder

SHORT = {"fit": TINY.replace("max_epochs 2", "max_epochs 1")}
LONG = {"fit": TINY.replace("max_epochs 2", "max_epochs 50000")}


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AllowedPaths:
    monkeypatch.chdir(tmp_path)
    return AllowedPaths(Path("runs"))


def until(true: object, seconds: float = 60) -> None:
    """Wait for what happens in another process."""
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def ended(job: Job) -> Job:
    until(lambda: not job.running)
    return job


@pytest.mark.slow
def test_a_study_is_trained_tested_and_its_weights_go(paths: AllowedPaths) -> None:
    job = paths.job("group/a")
    test = {"of": "a", "test": "--config logit_adjustment.yaml"}
    job.start(beside({"a": {**SHORT, "keep": False}, "adjusted": test}))
    assert ended(job).state == "finished"
    run = RunFolder(paths.runs / "group" / "a")
    assert run.tested()
    assert run.tested("adjusted")
    assert not run.checkpoint.exists(), "they were not to be kept"
    assert [one.name for one in paths.jobs()] == ["group/a"]
    assert [words[0] for words in job.commands] == ["fit", "test", "test"]
    assert state(run, job) == "tested"
    assert (job.progress.done, job.progress.rows) == (2, 2)


@pytest.mark.slow
def test_a_failure_ends_it_with_its_sentence(paths: AllowedPaths) -> None:
    job = paths.job("a")
    job.start(beside({"a": {"fit": "--nonsense 1"}}))
    assert ended(job).state == "failed"
    assert "there is no option nonsense" in job.failure
    assert state(RunFolder(paths.runs / "a"), job) == "failed"


@pytest.mark.slow
def test_of_two_starts_one_runs_and_goes_on_after_a_stop(paths: AllowedPaths) -> None:
    refused: list[str] = []
    job, run = paths.job("long"), RunFolder(paths.runs / "long")

    def try_start() -> None:
        try:
            job.start(beside({"long": LONG}))
        except InputError as error:
            refused.append(str(error))

    both = [threading.Thread(target=try_start) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert job.running
    assert [sentence.partition(":")[0] for sentence in refused] == ["the run long is running already"]
    with pytest.raises(InputError, match="stop it first"):
        job.forget()
    until(lambda: run.checkpoint.is_file())
    job.stop()
    assert ended(job).state == "stopped"
    assert "stopped by SIGTERM; Resume goes on from the last checkpoint." in job.log
    assert "FAILED" not in job.log, "an interrupted row is not a failed one"
    trained = run.trained_epochs
    assert state(run, job) == f"stopped at {trained}/50000"
    resume(paths, "long")
    until(lambda: RunFolder(run.path).trained_epochs > trained)
    assert run.rows[:trained] == RunFolder(run.path).rows[:trained]
    os.kill(json.loads((job.folder / STATE).read_text())["pid"], signal.SIGKILL)
    assert ended(job).state == "stopped"
    job.forget()
    assert not job.known


def test_a_job_forgets_its_own_files_only(paths: AllowedPaths) -> None:
    outer, inner = paths.job("signs"), paths.job("signs/ce")
    for job in (outer, inner):
        files.write_text(job.folder / PLAN, yaml.safe_dump(beside({"ce": SHORT})))
    with outer.lock.hold(), inner.lock.hold():
        pass
    with inner.lock.hold():
        outer.forget()
        assert not outer.known
        assert inner.known
        assert inner.running
    inner.forget()
    assert not inner.folder.exists()


def test_the_reason_is_that_of_the_last_failure(paths: AllowedPaths) -> None:
    job, command = paths.job("a"), "$ ltr fit --config ce.yaml\n"
    files.write_text(job.folder / LOG, f"{command}ltr: error: there is no folder data.\n")
    assert job.failure == "there is no folder data."
    files.write_text(job.folder / LOG, f"{job.log}{command}Traceback:\nRuntimeError: CUDA error\n")
    assert job.failure == "RuntimeError: CUDA error"
    files.write_text(job.folder / LOG, f"{job.log}{command}")
    assert job.failure == ""


def test_who_only_looks_is_not_taken_for_the_one_at_work(paths: AllowedPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LOOK", 30.0)
    run = RunFolder(paths.runs / "a")
    run.lock.file.parent.mkdir(parents=True)

    def hold() -> bool:
        with run.lock.hold(30.0):
            return False

    for look in (lambda: run.lock.held, hold):
        other = FileLock(run.lock.file, thread_local=False)
        other.acquire()
        threading.Timer(0.05, other.release).start()
        assert look() is False


def test_a_run_that_another_command_works_on_is_left_alone(paths: AllowedPaths) -> None:
    """The process id in the state may belong to another program by now."""
    job, run = paths.job("study/ce-0"), RunFolder(paths.runs / "study" / "ce-0")
    bystander = subprocess.Popen(["sleep", "60"])
    job.folder.mkdir(parents=True)
    files.write_text(job.folder / PLAN, yaml.safe_dump(beside({"ce-0": SHORT})))
    files.write_json(job.folder / STATE, {"pid": bystander.pid, "code": None})
    with run.lock.hold():
        assert state(run, job) == "running"
        job.stop()
    assert bystander.poll() is None
    bystander.terminate()
    bystander.wait()
    assert state(run, job) == "stopped"


def test_the_progress_is_that_of_the_curves(paths: AllowedPaths) -> None:
    job, run = paths.job("a"), RunFolder(paths.runs / "a")
    job.folder.mkdir(parents=True)
    test = {"title": "adjusted <b>", "of": "a", "test": "--config logit_adjustment.yaml"}
    files.write_text(job.folder / PLAN, yaml.safe_dump(beside({"a": {"title": "training", **SHORT}, "adjusted": test})))
    assert job.progress.words == "training (1 of 2): starting"
    files.write_text(run.config_file, "trainer: {max_epochs: 8}")
    files.write_text(run.curves_file, "epoch,train/loss\n" + "".join(f"{epoch},1.0\n" for epoch in range(6)))
    files.write_json(job.folder / STATE, {"pid": 1, "code": None, "epochs": 2})
    os.utime(job.folder / STATE, (1000, 1000))
    os.utime(run.curves_file, (1400, 1400))
    assert job.progress.words == "training (1 of 2): epoch 6 of 8"
    with job.lock.hold():
        assert job.progress.words == "training (1 of 2): epoch 6 of 8, 3:20 left", "four epochs took 400 s, two remain"
    assert 'aria-valuenow="38"' in job.progress.html
    files.write_text(run.path / "test" / "metrics.json", "{}")
    assert job.progress.words == "adjusted <b> (2 of 2)"
    assert "adjusted &lt;b&gt;" in job.progress.html


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", ""])
def test_a_job_is_no_path(paths: AllowedPaths, name: str) -> None:
    with pytest.raises(InputError):
        paths.job(name)
