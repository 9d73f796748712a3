"""Commands of `ltr` in processes of their own, which share their imports with all others and start in milliseconds."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from ltr.__main__ import main
from ltr.callbacks import Run
from tests.forked import CONTEXT
from tests.quick_picture import quick_picture

LONGEST = 240.0  # seconds of a command, after which it counts as hanging
ORPHANS = 60.0  # seconds that the processes of a killed command may go on


class End(NamedTuple):
    """How a command ended.

    Attributes:
        code: its exit status, below 0 for the number of a signal, None if it had to be killed since it was hanging.
        out: what it printed.
        err: its errors and notes.
        seconds: from the first to the last line of `ltr`.
        events: what was counted in it, 0 if it was killed.
    """

    code: int | None
    out: str
    err: str
    seconds: float
    events: int

    @property
    def problem(self) -> str:
        """What nothing excuses; empty if there is nothing of it."""
        if self.code is None:
            return f"it was still there after {self.seconds:.0f} s"
        if "Traceback" in self.err:
            return f"a traceback: {self.err.strip().splitlines()[-1]}"
        if self.code in (1, 2) and "ltr: error: " not in self.err:
            return f"status {self.code} without a sentence"
        return ""

    @property
    def sentence(self) -> str:
        """The last line of its errors."""
        return (self.err.strip().splitlines() or [""])[-1]


class Command:
    """A command that has begun, in a process that leads a group of its own.

    Args:
        words: what follows `ltr`.
        folder: the working folder.
        log: prefix of the files for what it prints; `log` in the folder if None.
        environment: variables of its environment to change.
        first: what the process does before; it returns a counter, whose end is told.
        work: what the process does with the words, if it is not `ltr`.
    """

    def __init__(
        self,
        words: str,
        folder: Path,
        log: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        first: Callable[[], list[int]] | None = None,
        work: Callable[[list[str]], object] = main,
    ) -> None:
        self.log = log or folder / "log"
        self.told, tell = CONTEXT.Pipe(duplex=False)
        variables = {**os.environ, **(environment or {})}
        arguments = (shlex.split(words), folder, self.log, variables, tell, first, work)
        self.process = CONTEXT.Process(target=command, args=arguments)
        self.process.start()
        tell.close()
        self.told.poll(LONGEST)
        self.told.recv()
        self.began = time.monotonic()

    @property
    def pid(self) -> int:
        """The number of its first process."""
        return self.process.pid or 0

    @property
    def runs(self) -> bool:
        """Whether its first process is there."""
        return self.process.is_alive()

    def signal(self, number: int) -> None:
        """Send a signal to its first process, if that is still there."""
        if self.runs:
            os.kill(self.pid, number)

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end for some time; return whether it came."""
        self.process.join(seconds)
        return not self.runs

    def wait(self, limit: float = LONGEST) -> End:
        """Wait for its end; kill its processes after some seconds."""
        hangs = not self.ends_within(limit)
        seconds = time.monotonic() - self.began
        if hangs:
            self.kill_group()
            self.process.join()
        code = None if hangs else self.process.exitcode
        out, err = (self.log.with_suffix(f".{name}").read_text(errors="replace") for name in ("out", "err"))
        return End(code, out, err, seconds, _last(self.told))

    @property
    def group(self) -> list[int]:
        """Those of its processes that run."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, number = path.read_text().rpartition(")")[2].split()[:3]
            except OSError:  # it has just ended
                continue
            if int(number) == self.pid and state != "Z":
                found.append(int(path.parent.name))
        return found

    def left_over(self) -> bool:
        """Return whether one of its processes goes on without it; end it in that case."""
        until = time.monotonic() + ORPHANS
        while self.group:
            if time.monotonic() > until:
                self.kill_group()
                return True
            time.sleep(0.2)
        return False

    def kill_group(self) -> None:
        """Kill its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def command(
    words: list[str],
    folder: Path,
    log: Path,
    variables: dict[str, str],
    tell: Connection,
    first: Callable[[], list[int]] | None,
    work: Callable[[list[str]], object],
) -> None:
    """Be a process with nothing but one command in it."""
    os.setsid()
    for name, number in (("out", 1), ("err", 2)):
        with log.with_suffix(f".{name}").open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a process in the background ignores
    Run.pause = 0.0  # a checkpoint after every epoch, as if an epoch took longer than the pause
    Figure.savefig = quick_picture  # type: ignore[method-assign]
    sys.argv = ["ltr", *words]
    events = first() if first else [0]
    tell.send("begin")
    try:
        work(words)
    finally:
        tell.send(events[0])


def meeting() -> list[dict[str, str]]:
    """Return the environments of two processes that meet, as Lightning makes them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "NODE_RANK": "0"}
    return [{**shared, "LOCAL_RANK": str(rank)} for rank in range(2)]


def run_in_two(words: str, folder: Path) -> None:
    """Run a command in two processes, which are given the devices that it names; fail if one of them does."""
    commands = [
        Command(words, folder, folder / f"log_{rank}", environment=place) for rank, place in enumerate(meeting())
    ]
    for end in [command.wait() for command in commands]:
        assert end.code == 0, end.err


def _last(told: Connection) -> int:
    """Return what was counted, 0 if the process did not get to its end."""
    try:
        return int(told.recv())
    except EOFError:
        return 0
