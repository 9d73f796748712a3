"""Start commands, end them, wait for them."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from tests.faults.child import Strike, work
from tests.forked import CONTEXT

LONGEST = 240.0  # seconds of a command, after which it counts as hanging
ORPHANS = 60.0  # seconds that the processes of a killed command may go on


class End(NamedTuple):
    """How a command ended.

    Attributes:
        code: its exit status, below 0 for the number of a signal, None if it had to be killed since it was hanging.
        out: what it printed.
        err: its errors and notes.
        seconds: from the first to the last line of `ltr`.
        events: number of its file operations, 0 if it was killed.
    """

    code: int | None
    out: str
    err: str
    seconds: float
    events: int

    @property
    def problem(self) -> str:
        """What no fault excuses; empty if there is nothing of it."""
        if self.code is None:
            return f"it was still there after {LONGEST:.0f} s"
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
    """A command that has begun.

    Args:
        words: what follows `ltr`.
        folder: the working folder.
        log: prefix of the files for what it prints.
        strike: a signal that it sends to itself.
        environment: variables of its environment.
    """

    def __init__(
        self,
        words: str,
        folder: Path,
        log: Path,
        strike: Strike | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self.told, tell = CONTEXT.Pipe(duplex=False)
        arguments = (words, folder, log, tell, strike, environment)
        self.process = CONTEXT.Process(target=work, args=arguments)
        self.process.start()
        tell.close()
        self.told.poll(LONGEST)
        self.told.recv()
        self.began = time.monotonic()

    def signal(self, number: int) -> None:
        """Send a signal to its first process, if that is still there."""
        if self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, number)

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end for some time; return whether it came."""
        self.process.join(seconds)
        return not self.process.is_alive()

    def wait(self) -> End:
        """Wait for its end."""
        self.process.join(LONGEST)
        hangs = self.process.is_alive()
        seconds = time.monotonic() - self.began
        if hangs:
            self.kill_group()
            self.process.join()
        code = None if hangs else self.process.exitcode
        out, err = (self.log.with_suffix(f".{name}").read_text(errors="replace") for name in ("out", "err"))
        return End(code, out, err, seconds, _last(self.told))

    def kill_group(self) -> None:
        """Kill its processes."""
        for process in group(self.process.pid or 0):
            os.kill(process, signal.SIGKILL)

    def left_over(self) -> bool:
        """Return whether one of its processes goes on without it; end it in that case."""
        until = time.monotonic() + ORPHANS
        while group(self.process.pid or 0):
            if time.monotonic() > until:
                self.kill_group()
                return True
            time.sleep(0.2)
        return False


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
        Command(words, folder, folder / f"log_{rank}", environment={**os.environ, **environment})
        for rank, environment in enumerate(meeting())
    ]
    for end in [command.wait() for command in commands]:
        assert end.code == 0, end.err


def _last(told: Connection) -> int:
    """Return the number of file operations, 0 if the process did not get to its end."""
    try:
        return int(told.recv())
    except EOFError:
        return 0


def group(leader: int) -> list[int]:
    """Return the processes of a group that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, number = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has just ended
            continue
        if int(number) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found
