"""A job: commands of `ltr` that make a run. One process at a time works on it; state and log are kept in files."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from ltr import files
from ltr.errors import InputError

State = Literal["running", "finished", "stopped", "failed"]
JOBS = ".jobs"  # the folder of all jobs, beside the runs
BAR_INTERVAL = "2"  # seconds between two updates of a progress bar in a log
LOG_BYTES = 200_000  # how much of the end of a log is read
START_TIMEOUT = 20.0  # seconds for a new process to take its lock
PEEK, POLL = 0.1, 0.01  # seconds: a process that only checks the lock releases it within PEEK
WORKER_TIMEOUT = 2.0  # seconds that a new process waits for one that only checks the lock
TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Job:
    """The commands that make a run. Every process that works on a run, for the page or a study, holds its lock.

    Attributes:
        name: of the run, below the folder of the runs.
        folder: where the job's own files are: `lock`, `pid.json` of its holder; of a job that was
            started by `start` also `job.json`, `state.json`, `log.txt`.
    """

    name: str
    folder: Path

    @classmethod
    def of(cls, runs: Path, name: str) -> Job:
        """Return the job of a run, which need not exist yet."""
        return cls(name, runs / JOBS / name)

    @classmethod
    def all(cls, runs: Path) -> list[Job]:
        """Return all jobs that were started, the latest first."""
        home = runs / JOBS
        found = sorted(home.rglob("job.json"), key=modified, reverse=True)
        return [cls(path.parent.relative_to(home).as_posix(), path.parent) for path in found]

    @contextmanager
    def locked(self, timeout: float = -1) -> Iterator[None]:
        """Hold the lock of the run.

        Args:
            timeout: seconds to wait for another process; below 0 for as long as it takes.

        Raises:
            InputError: if another process still holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=timeout)
        except Timeout as error:
            raise InputError(f"another process is working on the run {self.name}: stop it first.") from error
        try:
            files.write_json(self.folder / "pid.json", {"pid": os.getpid()})
            yield
        finally:
            lock.release()

    def start(self, commands: Sequence[Sequence[str]], worker: Sequence[str], *, unwanted: Sequence[Path] = ()) -> None:
        """Start a process that works on the commands, and return once it holds the lock.

        Args:
            commands: the arguments of `ltr`, for each command.
            worker: command line of a process that calls `work`; the job's folder is appended.
            unwanted: files to delete after all commands have succeeded.

        Raises:
            InputError: if a process is working on the run already.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "start"):  # of two simultaneous starts, the second finds the first running
            if self.running:
                raise InputError(f"the run {self.name} is running already: stop it first, or choose another name.")
            content = {"commands": [list(words) for words in commands], "unwanted": [str(path) for path in unwanted]}
            files.write_json(self.folder / "job.json", content)
            self._spawn(worker)

    def _spawn(self, worker: Sequence[str]) -> None:
        """Start the process and wait until it holds the lock."""
        (self.folder / "state.json").unlink(missing_ok=True)
        with (self.folder / "log.txt").open("ab") as log:
            log.write(f"$ {self.command}\n".encode())
            log.flush()
            process = subprocess.Popen(  # noqa: S603, a list of words, no shell
                [*worker, str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TQDM_MININTERVAL": BAR_INTERVAL, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # the training outlives the process that started it
            )
        threading.Thread(target=process.wait, daemon=True).start()  # without it, a zombie process remains
        deadline = time.monotonic() + START_TIMEOUT
        while not (self.folder / "state.json").is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def work(self, run: Callable[[list[str]], int]) -> int:
        """Run the commands in this process, one after the other, and record the progress.

        Args:
            run: runs a command and returns its exit status.

        Returns:
            The exit status of the first command that failed, else 0.

        Raises:
            InputError: if another process is working on the run.
        """
        with self.locked(WORKER_TIMEOUT):
            code = 0
            for step, words in enumerate(self.commands):
                files.write_json(self.folder / "state.json", {"pid": os.getpid(), "step": step, "code": None})
                code = run(words)
                if code:
                    break
            else:
                for path in self.unwanted:
                    path.unlink(missing_ok=True)
            files.write_json(self.folder / "state.json", {"pid": os.getpid(), "step": step, "code": code})
            return code

    def stop(self) -> None:
        """Ask the process that `start` began to stop; a training keeps its last checkpoint.

        Raises:
            InputError: if another process is working on the run, such as that of a study.
        """
        if not self.running:
            return
        holder, pid = self._read("pid.json").get("pid"), self._read("state.json").get("pid")
        if pid is None or pid != holder:
            raise InputError(f"another command is working on the run {self.name}: stop that command.")
        os.kill(int(pid), signal.SIGTERM)

    def forget(self) -> None:
        """Delete the job's own files.

        Raises:
            InputError: if a process is working on it.
        """
        if self.running:
            raise InputError(f"the run {self.name} is running: stop it first.")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def known(self) -> bool:
        """Whether it was started by `start`."""
        return (self.folder / "job.json").is_file()

    @property
    def running(self) -> bool:
        """Whether a process is working on the run; its lock is held exactly as long."""
        if not self.folder.is_dir():
            return False
        try:
            with FileLock(self.folder / "lock", timeout=PEEK, poll_interval=POLL):
                return False
        except Timeout:
            return True

    @property
    def state(self) -> State:
        """What became of it; `stopped` as well if its process was killed."""
        if self.running:
            return "running"
        code = self._read("state.json").get("code")
        if code == 0:
            return "finished"
        return "stopped" if code in (None, TERMINATED) else "failed"

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of `ltr`, for each command."""
        return list(self._read("job.json").get("commands", []))

    @property
    def unwanted(self) -> list[Path]:
        """Files to delete after all commands have succeeded."""
        return [Path(path) for path in self._read("job.json").get("unwanted", [])]

    @property
    def step(self) -> int:
        """Index of the current command, from 0."""
        return int(self._read("state.json").get("step", 0))

    @property
    def command(self) -> str:
        """The commands as one shell command."""
        return shell(self.commands)

    @property
    def log(self) -> str:
        """The end of the output; of a progress bar, only its last state."""
        path = self.folder / "log.txt"
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(-min(LOG_BYTES, path.stat().st_size), os.SEEK_END)
            text = file.read().decode("utf-8", errors="replace")
        return "\n".join(line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n"))

    @property
    def failure(self) -> str:
        """The error message with which it failed, else the last line of its log."""
        lines = [line for line in self.log.splitlines() if line.strip()]
        errors = [line.partition("error: ")[2] for line in lines if line.startswith("ltr: error: ")]
        return errors[-1] if errors else (lines[-1] if lines else "")

    def _read(self, name: str) -> dict[str, Any]:
        """Return the content of one of its JSON files; empty if there is none."""
        try:
            return dict(json.loads((self.folder / name).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}


def modified(path: Path) -> float:
    """Return when a path was modified last; 0 if it no longer exists."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0


def shell(commands: Sequence[Sequence[str]]) -> str:
    """Return commands of `ltr` as one shell command."""
    return " && ".join(shlex.join(["ltr", *words]) for words in commands)
