"""Two processes for the tests of what is distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed

from tests.forked import CONTEXT


@contextmanager
def two_processes() -> Iterator[Callable[..., None]]:
    """Yield what runs `work(rank, *arguments)` in two processes, which last until the end."""
    with ProcessPoolExecutor(2, CONTEXT) as pool:

        def run(work: Callable[..., None], *arguments: Any) -> None:
            # Each waits for the other to meet it, so one process cannot take both.
            for part in [pool.submit(alone, work, rank, *arguments) for rank in range(2)]:
                part.result(timeout=300)

        yield run


def alone(work: Callable[..., None], rank: int, *arguments: Any) -> None:
    """Do the work of a process and leave nothing behind for the next."""
    try:
        work(rank, *arguments)
    finally:
        torch.set_default_dtype(torch.float32)
        if distributed.is_initialized():
            distributed.destroy_process_group()


def alone_and_shared(rank: int, folder: str, step: Callable[..., tuple[Tensor, list[Tensor]]], *parts: Tensor) -> None:
    """Take a step alone, then with another process, each on its share of the samples; write both in `folder`.

    Args:
        rank: of this process.
        folder: for `{rank}.pt`: `alone`, and `together`, averaged over both.
        step: from the parts of a batch to the value and the gradients of this process.
        parts: of the batch, with 12 samples each, of which the first process gets 9.
    """
    alone_result = step(*parts)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    share = slice(0, 9) if rank == 0 else slice(9, None)
    value, gradients = step(*(part[share] for part in parts))
    for tensor in (value, *gradients):
        distributed.all_reduce(tensor)
        tensor /= 2
    distributed.barrier()
    distributed.destroy_process_group()
    torch.save({"alone": alone_result, "together": (value, gradients)}, f"{folder}/{rank}.pt")
