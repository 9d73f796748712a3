"""The driver of faults sees a loss, keeps its record, and finds nothing in a short run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

import pytest
import torch

from ltr import files
from tests.faults.contents import contents, differences
from tests.faults.kinds import LOST, SAME, damaged, no_small_disk
from tests.faults.leftovers import folder, mounts
from tests.faults.plan import FULL, Fault
from tests.faults.record import Record
from tests.faults.scenes import READERS, SCENES, Stage
from tests.own_process import End

LAST = "checkpoints/a/last.ckpt"


def line(number: int, state: str, verb: str = "fit", kind: str = "kill -9", file: str = "") -> dict[str, object]:
    return {"number": number, "seed": 3, "verb": verb, "kind": kind, "file": file, "state": state}


def test_contents_differ_by_results_and_not_by_durations(tmp_path: Path) -> None:
    def write(weight: float, seconds: float) -> dict[str, str]:
        torch.save({"state_dict": {"w": torch.tensor([weight])}, "seconds": seconds}, tmp_path / "last.ckpt")
        files.write_json(tmp_path / "metrics.json", {"top1": 0.5, "seconds": seconds}, checksum=True)
        return contents(tmp_path)

    first = write(1.0, 2.0)
    assert differences(first, write(1.0, 3.0)) == []
    assert differences(first, write(1.5, 2.0)) == ["last.ckpt"]
    (tmp_path / ".metrics.7.json").write_text("{")
    (tmp_path / "metrics.json").write_text(json.dumps({"top1": 0.51}))
    assert differences(first, contents(tmp_path)) == [".metrics.7.json", "last.ckpt", "metrics.json"]


def test_the_record_goes_on_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record = Record(path)
    record.add(line(0, SAME))
    record.add(line(1, LOST))
    record.add(line(2, SAME, "test", "flipped", LAST))
    with path.open("a") as file:
        file.write('{"number": 3, "se')  # the driver was killed here
    again = Record(path)
    again.add(line(4, SAME))
    last = Record(path)
    assert last.done(3) == {0, 1, 2, 4}
    assert last.done(4) == set()
    assert last.files == {LAST: 1}
    assert [one["number"] for one in last.lost] == [1]
    assert "| fit | 3 / 2 | - | 3 / 2 |" in last.table
    assert "| all | 3 / 2 | 1 / 1 | 4 / 3 |" in last.table


@pytest.mark.parametrize(
    ("code", "err", "problem"),
    [
        (0, "", ""),
        (2, "ltr: error: no.", ""),
        (2, "", "status 2 without"),
        (1, "Traceback\nE: x", "E: x"),
        (None, "", "still there"),
    ],
)
def test_problems_that_no_fault_excuses(code: int | None, err: str, problem: str) -> None:
    end = End(code, "", err, 1.0, 0)
    assert problem in end.problem
    assert bool(problem) == bool(end.problem)


def test_what_a_killed_driver_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, others = tmp_path / f"ltr_faults_{dead.pid}_x", [tmp_path / f"ltr_faults_{os.getpid()}_x", tmp_path / "mine"]
    for path in (left, *others):
        (path / "disk").mkdir(parents=True)
        (path / "disk" / "work").write_text("x")
    if mountable := not no_small_disk(left / "disk"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", left / "disk"], check=True)
        assert mounts(tmp_path) == [left / "disk"]
    with folder() as own:
        assert not left.exists(), f"mounted: {mountable}"
        assert [path.is_dir() for path in (own, *others)] == [True] * 3
    assert sorted(tmp_path.iterdir()) == sorted(others)
    assert mounts(tmp_path) == []


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("faults"))


FIT, _, _, TEST, PREDICT, *_ = SCENES
READS_TEST = next(scene for scene in READERS if scene.verb == "test")
SHORT = [
    Fault(FIT, "kill -9"),
    Fault(FIT, "SIGTERM"),
    Fault(FIT, FULL),
    Fault(TEST, "SIGINT"),
    Fault(PREDICT, "stop"),
    Fault(READS_TEST, "truncated", LAST),
    Fault(READS_TEST, "flipped", LAST),
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", SHORT, ids=lambda fault: f"{fault.scene.verb}-{fault.kind}")
def test_nothing_is_lost(fault: Fault, stage: Stage) -> None:
    if fault.kind == FULL and (reason := no_small_disk(stage.disk)):
        pytest.skip(reason)
    outcome = fault.inject(stage, Random(f"0 {fault.kind}"))
    assert outcome.state != LOST, outcome


@pytest.mark.slow
def test_another_result_is_seen(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, end = stage.undisturbed(READS_TEST)
    metrics = "checkpoints/a/test/metrics.json"
    monkeypatch.setitem(stage.known, READS_TEST, ({**wanted, metrics: "other"}, end))
    outcome = damaged(stage, READS_TEST, "flipped", "checkpoints/a/previous.ckpt", Random(0))
    assert outcome.state == LOST
    assert metrics in outcome.detail
