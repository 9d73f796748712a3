"""A study in the background: a process that outlives the page, found again by its files.

Every training and tuning of the page is a small study. The process is `python -m ltr.app FOLDER RUNS`.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from ltr import files
from ltr.app.progress import Progress, modified
from ltr.errors import InputError
from ltr.run.lock import Lock
from ltr.studies import fields
from ltr.studies.plan import Plan

State = Literal["running", "finished", "stopped", "failed"]
JOBS = ".jobs"  # the folder of all jobs, beside the runs
PLAN, STATE, LOG = "study.yaml", "state.json", "log.txt"  # in the folder of a job
LOCK, START = "lock", "start"  # likewise, the files of its locks
BEGINNING = re.compile(r"^\$ ltr .*$", re.MULTILINE)  # of what a start adds to the log
LOG_BYTES = 200_000  # how much of the end of a log is read
START_TIMEOUT = 20.0  # seconds for a new process to take its lock
SIGNALLED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


@dataclass(frozen=True)
class Job:
    """A study that runs in its own process.

    Attributes:
        name: of the run that it makes, with the group in front if it has one: `signs/ce`.
        folder: of its own files: the study, state, log and locks.
        runs: the folder in which its runs lie.
    """

    name: str
    folder: Path
    runs: Path

    @classmethod
    def of(cls, runs: Path, name: str) -> Job:
        """Return the job of a run, which need not exist yet."""
        return cls(name, runs / JOBS / name, (runs / name).parent)

    @classmethod
    def all(cls, runs: Path) -> list[Job]:
        """Return all jobs that were started, the latest first."""
        home = runs / JOBS
        plans = sorted(home.rglob(PLAN), key=modified, reverse=True)
        return [cls.of(runs, plan.parent.relative_to(home).as_posix()) for plan in plans]

    @property
    def lock(self) -> Lock:
        """The lock that its process holds."""
        return Lock(self.folder / LOCK, f"the run {self.name}")

    def start(self, content: Mapping[str, Any]) -> None:
        """Start a process that works on a study, and return once it holds the lock.

        Args:
            content: of the study file.

        Raises:
            InputError: if it is not a study, or a process is working on the run already.
        """
        Plan.of(content, self.name)
        with Lock(self.folder / START, f"the run {self.name}").hold(timeout=-1):  # of two starts, the second waits
            if self.running:
                raise InputError(f"the run {self.name} is running already: stop it first, or choose another name.")
            files.write_text(self.folder / PLAN, yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True))
            (self.folder / STATE).unlink(missing_ok=True)
            with (self.folder / LOG).open("ab") as log:
                log.write(f"$ {shell(self.commands)}\n".encode())
                log.flush()
                process = subprocess.Popen(  # noqa: S603, a list of words, no shell
                    [sys.executable, "-m", "ltr.app", str(self.folder), str(self.runs)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ | {"PYTHONUNBUFFERED": "1"},
                    start_new_session=True,  # the training outlives the page
                )
            threading.Thread(target=process.wait, daemon=True).start()  # without it, a zombie process remains
            deadline = time.monotonic() + START_TIMEOUT
            while not self._state and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)

    def resume(self) -> None:
        """Start a process that completes the study.

        Raises:
            InputError: if the study cannot be read, or a process is working on the run already.
        """
        content, _ = fields.load(self.folder / PLAN)
        self.start(content)

    def work(self) -> int:
        """Run the study in this process, and return the exit status.

        Raises:
            InputError: if another process is working on it.
        """
        with self.lock.hold():
            state: dict[str, Any] = {"pid": os.getpid(), "code": None, "epochs": self.progress.epoch}
            files.write_json(self.folder / STATE, state)
            from ltr.cli.command import perform
            from ltr.cli.messages import messages  # torch, for which the caller must not wait
            from ltr.studies.study import study

            state["code"] = 1
            try:
                with messages("Resume goes on from the last checkpoint"):
                    study(str(self.folder / PLAN), runs=str(self.runs), perform=perform)
                state["code"] = 0
            except SystemExit as end:
                state["code"] = end.code
            finally:
                files.write_json(self.folder / STATE, state)
            return int(state["code"])

    def stop(self) -> None:
        """Ask the process to stop; a training keeps its last checkpoint."""
        pid = self._state.get("pid")
        if self.running and pid is not None:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(int(pid), signal.SIGTERM)

    def forget(self) -> None:
        """Delete the job's own files; those of a run in a group of its name stay.

        Raises:
            InputError: if a process is working on it.
        """
        if self.running:
            raise InputError(f"the run {self.name} is running: stop it first.")
        for file in (PLAN, STATE, LOG, LOCK, START):
            (self.folder / file).unlink(missing_ok=True)
        with suppress(OSError):  # it is not empty, or was never there
            self.folder.rmdir()

    @property
    def known(self) -> bool:
        """Whether it was started here."""
        return (self.folder / PLAN).is_file()

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.lock.held

    @property
    def state(self) -> State:
        """How it ended, `stopped` also if its process was killed; or `running`."""
        if self.running:
            return "running"
        code = self._state.get("code")
        if code == 0:
            return "finished"
        return "stopped" if code in (None, *SIGNALLED) else "failed"

    @property
    def plan(self) -> Plan:
        """Its study.

        Raises:
            InputError: if there is none.
        """
        return Plan.read(str(self.folder / PLAN))

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of `ltr` that make its runs, for each command."""
        return commands(self.plan, self.runs)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        began = modified(self.folder / STATE) if self.running else None
        return Progress.of(self.plan, self.runs, began=began, before=int(self._state.get("epochs", 0)))

    @property
    def log(self) -> str:
        """The end of the output; of a progress bar, only its last state."""
        path = self.folder / LOG
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(-min(LOG_BYTES, path.stat().st_size), os.SEEK_END)
            text = file.read().decode("utf-8", errors="replace")
        return "\n".join(line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n"))

    @property
    def failure(self) -> str:
        """The error message with which it failed, else the last line of its log since it was started last."""
        lines = [line for line in BEGINNING.split(self.log)[-1].splitlines() if line.strip()]
        errors = [line.partition("error: ")[2] for line in lines if line.startswith("ltr: error: ")]
        return errors[-1] if errors else (lines[-1] if lines else "")

    @property
    def _state(self) -> dict[str, Any]:
        try:
            return files.read_json(self.folder / STATE)
        except InputError:
            return {}


def beside(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a study file whose runs lie beside all other runs, each with the name of its row."""
    return {"name": None, "seeds": None, "runs": dict(rows)}


def commands(plan: Plan, runs: Path) -> list[list[str]]:
    """Return the arguments of `ltr` that make the runs of a study, for each command."""
    return [words for job in plan.jobs for words in plan.commands(job, runs)]


def shell(commands: Sequence[Sequence[str]]) -> str:
    """Return commands of `ltr` as one shell command."""
    return " && ".join(shlex.join(["ltr", *words]) for words in commands)
