"""Ctrl+C and SIGTERM end a study with all its processes, and say how to go on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.own_process import Command
from tests.studies.sleeping import GRACE, sleepers

STUDY = "seeds: [0, 1, 2]\nruns: {ce: {fit: --config ce.yaml}}"


def begin(folder: Path, processes: int, **environment: str) -> tuple[Command, list[int]]:
    """Start a study; return it, and the processes of its trainings, which have all begun.

    Args:
        folder: where it works.
        processes: the number of its trainings at once.
        environment: variables of its environment.
    """
    (folder / "mine.yaml").write_text(STUDY)
    study = Command(str(processes), folder, environment=environment, work=sleepers)
    deadline = time.monotonic() + 300
    while len(begun := list(folder.glob("ce-*"))) < processes:
        assert study.runs, "the study ended"
        assert time.monotonic() < deadline, "no training began"
        time.sleep(0.05)
    return study, [int(path.read_text()) for path in begun]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_study_and_no_row_has_failed(tmp_path: Path, sent: signal.Signals, processes: int) -> None:
    study, workers = begin(tmp_path, processes)
    study.signal(sent)
    end = study.wait(30)
    assert end.code == 128 + sent
    said = f"ltr: stopped by {'Ctrl+C' if sent == signal.SIGINT else sent.name}; run the same command to go on."
    assert said in end.err
    assert "Traceback" not in end.err
    assert "FAILED" not in end.out
    assert len(list(tmp_path.glob("ce-*"))) == processes, "another training was started"
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.slow
def test_the_processes_of_a_killed_study_end(tmp_path: Path) -> None:
    study, workers = begin(tmp_path, 2, **{GRACE: "0.5"})
    assert set(workers) < set(study.group)
    study.signal(signal.SIGKILL)
    study.wait()
    assert not study.left_over()
