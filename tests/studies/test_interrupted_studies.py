"""Ctrl+C and SIGTERM end a study with all its processes, and say how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ltr.process_state import GRACE

STUDY = "seeds: [0, 1, 2]\nruns: {ce: {fit: --config ce.yaml}}"


def begin(folder: Path, processes: int, grace: float = GRACE) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a study; return its process, and those of its trainings, which have all begun.

    Args:
        folder: where it works.
        processes: the number of its trainings at once.
        grace: seconds that a process has to end.
    """
    (folder / "mine.yaml").write_text(STUDY)
    started = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("sleeping.py"), str(processes), str(grace)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 300
    while len(begun := list(folder.glob("ce-*"))) < processes:
        assert started.poll() is None, "the study ended"
        assert time.monotonic() < deadline, "no training began"
        time.sleep(0.05)
    return started, [int(path.read_text()) for path in begun]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_study_and_no_row_has_failed(tmp_path: Path, sent: signal.Signals, processes: int) -> None:
    started, workers = begin(tmp_path, processes)
    os.kill(started.pid, sent)
    out, err = started.communicate(timeout=30)
    assert started.returncode == 128 + sent
    assert f"ltr: stopped by {'Ctrl+C' if sent == signal.SIGINT else sent.name}; run the same command to go on." in err
    assert "Traceback" not in err
    assert "FAILED" not in out
    assert len(list(tmp_path.glob("ce-*"))) == processes, "another training was started"
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.slow
def test_the_processes_of_a_killed_study_end(tmp_path: Path) -> None:
    started, workers = begin(tmp_path, 2, grace=0.5)
    started.kill()
    started.communicate(timeout=60)  # waits for all that have its output
    for pid in workers:
        assert not is_running(pid)


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
