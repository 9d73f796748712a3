"""Where runs take place: in this process, in several ones, on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from ltr.errors import InputError
from ltr.machine import cores
from ltr.process_state import GRACE, take_share, work_in


class Here(Executor):
    """Run at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function; return its result as a future that is done."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class _Children(SpawnContext):
    """Starts processes and remembers which: the caller may have others."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[BaseProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> BaseProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnContext.Process(*args, **kwargs)
        self.started.append(process)
        return process


@contextmanager
def processes(count: int, modules: Sequence[str] = ()) -> Iterator[Executor]:
    """Yield processes that share the cores of this machine and take turns on its GPUs.

    They end with this block, whatever ends it.

    Args:
        count: number of processes.
        modules: what they import at their start.
    """
    context = _Children()
    queue = context.Queue()
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(torch.cuda.device_count())))).split(",")
    for number in range(count):
        queue.put(gpus[number % len(gpus)])
    share = (max(1, cores() // count), queue, modules)
    pool = ProcessPoolExecutor(count, context, take_share, share)  # a function of a module that does not import torch
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in context.started:
            child.terminate()
        for child in context.started:
            child.join(GRACE)
            child.kill()
        raise
    pool.shutdown()


class OnRay(Executor):
    """Run on a Ray cluster whose machines share this folder and have `ltr` installed.

    Args:
        gpus: of each run, as a share: 0.5 puts two on one.
        cpus: of each run.
    """

    def __init__(self, *, gpus: float, cpus: float) -> None:
        self.resources = {"num_gpus": gpus, "num_cpus": cpus}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand a function to the cluster."""
        import ray

        future: Future[Any] = ray.remote(**self.resources)(_within).remote(Path.cwd(), fn, *args, **kwargs).future()
        return future


def _within(folder: Path, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function in a folder."""
    work_in(folder)
    return fn(*args, **kwargs)


@contextmanager
def ray_cluster(address: str, *, gpus: float | None, cpus: float) -> Iterator[tuple[Executor, int]]:
    """Join a Ray cluster, or start one on this machine; yield what runs on it and how many runs fit at once.

    Args:
        address: of the cluster, `auto` for the one that this machine belongs to, `local` to start one.
        gpus: of each run; all that a run can use where the cluster has some, if None.
        cpus: of each run.

    Raises:
        InputError: if Ray is missing, or there is no such cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError('Ray is not installed: `pip install -e ".[ray]"`.') from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level="warning")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"there is no Ray cluster at {address}: {str(error).splitlines()[0]}") from error
    try:
        there = ray.cluster_resources()
        share = (1.0 if there.get("GPU") else 0.0) if gpus is None else gpus
        fits = [there.get(kind, 0) / each for kind, each in (("GPU", share), ("CPU", cpus)) if each]
        slots = int(min(fits))
        if not slots:
            raise InputError(
                f"the Ray cluster does not have {share:g} GPUs and {cpus:g} cores for a run: ask for less."
            )
        yield OnRay(gpus=share, cpus=cpus), slots
    finally:
        ray.shutdown()
