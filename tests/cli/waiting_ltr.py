"""Stands for `ltr`: one of two processes, which is stopped while it waits for the other one.

The other one ends at the worst time: just before Python takes down the interpreter of the first, which a thread of
gloo waits for then.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time

import torch
import torch.distributed as dist

from ltr import __main__ as ltr
from ltr.errors import Stopped


class Last:
    """Leaves the interpreter to other threads for a while when it is taken down."""

    def __init__(self) -> None:
        self.sleep = time.sleep

    def __del__(self) -> None:
        self.sleep(0.5)


def end_the_other(pipe: int) -> None:
    """Close the pipe, which the other one waits for, and keep the interpreter from other threads for a while."""
    sys.setswitchinterval(60)
    os.close(pipe)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        pass


def run(_: str, arguments: list[str]) -> None:
    """Meet the other process; wait for an answer that does not come."""
    first, pipe, meeting = int(arguments[0]), int(arguments[1]), arguments[2]
    dist.init_process_group("gloo", f"file://{meeting}", rank=1 - first, world_size=2)
    if first:
        dist.all_gather([torch.zeros(1), torch.zeros(1)], torch.ones(1), async_op=True)
        raise Stopped(signal.SIGTERM)
    os.read(pipe, 1)


if __name__ == "__main__":
    if int(sys.argv[1]):
        last = Last()
        atexit.register(end_the_other, int(sys.argv[2]))
    ltr.run = run
    ltr.main(["fit", *sys.argv[1:]])
