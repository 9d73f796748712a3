"""Two processes for the tests of what is distributed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed


@contextmanager
def two_processes() -> Iterator[Callable[..., None]]:
    """Yield what runs `work(rank, *arguments)` in two processes, which last until the end."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:

        def run(work: Callable[..., None], *arguments: Any) -> None:
            # Each waits for the other to meet it, so one process cannot take both.
            for part in [pool.submit(alone, work, rank, *arguments) for rank in range(2)]:
                part.result(timeout=300)

        yield run


def alone(work: Callable[..., None], rank: int, *arguments: Any) -> None:
    """Do the work of a process on one thread and leave nothing behind for the next."""
    torch.set_num_threads(1)
    try:
        work(rank, *arguments)
    finally:
        torch.set_default_dtype(torch.float32)
        if distributed.is_initialized():
            distributed.destroy_process_group()
