"""Trainings that the page starts: processes of their own, found again by the files they leave."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock, Timeout

from ltr import files
from ltr.app.place import Place, changed
from ltr.errors import InputError

State = Literal["running", "finished", "stopped", "failed"]
TOLD = "2"  # seconds between two lines of the progress bar in a log
TAIL = 200_000  # bytes of a log that are read
PATIENCE = 20.0  # seconds until a new process must hold its lock
GLANCE, POLL = 0.1, 0.01  # seconds: whoever only looks lets go of the lock within it
TERMINATED = 128 + signal.SIGTERM
BAR = re.compile(r"(\d+)%\|[^|]*\| *([\d.]+)/(\d+) \[([\d:]+)<([\d:?]+), [^\]]*?(?:epoch|s/epoch)?(?:, ([^\]]*))?\]")


class Progress(NamedTuple):
    """How far a training is.

    Attributes:
        epoch: epochs that are over, in parts.
        epochs: of the whole training.
        left: time left, as `minutes:seconds`.
        words: loss and measures.
    """

    epoch: float
    epochs: int
    left: str
    words: str


@dataclass(frozen=True)
class Job:
    """The commands that make a run, one after the other in one process.

    Attributes:
        name: of the run.
        folder: where the job's own files are: `job.json`, `state.json`, `log.txt`, `lock`.
    """

    name: str
    folder: Path

    @classmethod
    def of(cls, place: Place, name: str) -> Job:
        """Return the job of a run, whether there is one or not.

        Raises:
            InputError: where it cannot be the name of a run.
        """
        for part in name.split("/"):
            place.new(part)
        return cls(name, place.own / "jobs" / name)

    @classmethod
    def all(cls, place: Place) -> list[Job]:
        """Return all jobs, the latest first."""
        home = place.own / "jobs"
        found = sorted(home.rglob("job.json"), key=changed, reverse=True)
        return [cls(path.parent.relative_to(home).as_posix(), path.parent) for path in found]

    def start(self, commands: Sequence[Sequence[str]], *, unwanted: Sequence[Path] = ()) -> None:
        """Start a process that runs verbs of `ltr`, one after the other, and go on when it is at work.

        Args:
            commands: the words after `ltr` of each.
            unwanted: files to delete when all of them have done well.

        Raises:
            InputError: where the run is at work already.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "start"):  # of two at once, the second finds the first at work
            if self.running:
                raise InputError(f"the run {self.name} is at work already: stop it first, or choose another name.")
            content = {"commands": [list(words) for words in commands], "unwanted": [str(path) for path in unwanted]}
            files.write_json(self.folder / "job.json", content)
            self._begin()

    def _begin(self) -> None:
        """Start the process, and wait until it holds its lock."""
        (self.folder / "state.json").unlink(missing_ok=True)
        with (self.folder / "log.txt").open("ab") as log:
            log.write(f"$ {self.command}\n".encode())
            log.flush()
            process = subprocess.Popen(  # noqa: S603, a list of words, no shell
                [sys.executable, "-m", "ltr.app.work", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TQDM_MININTERVAL": TOLD, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # the training outlives the page
            )
        threading.Thread(target=process.wait, daemon=True).start()  # else it stays in the table of processes
        deadline = time.monotonic() + PATIENCE
        while not (self.folder / "state.json").is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask the process to end; a training keeps its last checkpoint."""
        if self.running and (pid := self._noted("state.json").get("pid")):
            os.kill(int(pid), signal.SIGTERM)

    def forget(self) -> None:
        """Delete the job's own files.

        Raises:
            InputError: where it is at work.
        """
        if self.running:
            raise InputError(f"the run {self.name} is at work: stop it first.")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def known(self) -> bool:
        """Whether the page ever started it."""
        return (self.folder / "job.json").is_file()

    @property
    def running(self) -> bool:
        """Whether its process is alive, whoever started it: only while it is, its lock is held."""
        if not self.folder.is_dir():
            return False
        try:
            with FileLock(self.folder / "lock", timeout=GLANCE, poll_interval=POLL):
                return False
        except Timeout:
            return True

    @property
    def state(self) -> State:
        """What became of it. One whose process vanished without a word was stopped from outside."""
        if self.running:
            return "running"
        code = self._noted("state.json").get("code")
        if code == 0:
            return "finished"
        return "stopped" if code in (None, TERMINATED) else "failed"

    @property
    def commands(self) -> list[list[str]]:
        """The words after `ltr` of each of its commands."""
        return list(self._noted("job.json").get("commands", []))

    @property
    def unwanted(self) -> list[Path]:
        """Files that are deleted when all is done."""
        return [Path(path) for path in self._noted("job.json").get("unwanted", [])]

    @property
    def step(self) -> int:
        """Which of its commands it is at, from 0."""
        return int(self._noted("state.json").get("step", 0))

    @property
    def command(self) -> str:
        """Its commands as they are typed."""
        return typed(self.commands)

    @property
    def log(self) -> str:
        """What it has printed, a bar only as it was last."""
        path = self.folder / "log.txt"
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(-min(TAIL, path.stat().st_size), os.SEEK_END)
            text = file.read().decode("utf-8", errors="replace")
        return "\n".join(line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n"))

    @property
    def progress(self) -> Progress | None:
        """How far its last command is, as its bar says; None where there is none."""
        *_, last = self.log.rsplit("\n$ ", 1)
        found = BAR.findall(last)
        if not found:
            return None
        _, epoch, epochs, _, left, words = found[-1]
        return Progress(float(epoch), int(epochs), left, words)

    @property
    def failure(self) -> str:
        """The sentence with which it failed, else its last line."""
        lines = [line for line in self.log.splitlines() if line.strip()]
        said = [line.partition("error: ")[2] for line in lines if line.startswith("ltr: error: ")]
        return said[-1] if said else (lines[-1] if lines else "")

    def _noted(self, name: str) -> dict[str, Any]:
        """Return what one of its files holds; nothing where there is none."""
        try:
            return dict(json.loads((self.folder / name).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}


def typed(commands: Sequence[Sequence[str]]) -> str:
    """Return commands as they are typed."""
    return " && ".join(shlex.join(["ltr", *words]) for words in commands)
