"""Run the runs of a study, each as soon as what it needs is there."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool

from ltr.errors import InputError
from ltr.studies.job import Job
from ltr.studies.runs import Outcome, Runs


def run(runs: Runs, jobs: Sequence[Job], executor: Executor, slots: int = 1) -> dict[Job, str]:
    """Run what is not finished, in order as far as that is possible; tell how each run went.

    Args:
        runs: what runs are made with.
        jobs: the runs, with all that they need.
        executor: where they take place.
        slots: how many at once.

    Returns:
        Why runs failed.

    Raises:
        InputError: if a process was killed.
    """
    waiting, running = list(jobs), dict[Future[Outcome], Job]()
    failures: dict[Job, str] = {}
    start, width, done = time.perf_counter(), max(len(job.entry.title) for job in jobs), 0

    def label(number: int, job: Job) -> str:
        where = "".join(f" {part}" for part in (job.setting.title, _subset(job)) if part)
        return f"[{number:>{len(str(len(jobs)))}}/{len(jobs)}] {job.entry.title:<{width}}{where} seed {job.seed}"

    def conclude(job: Job, outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if outcome.failure is not None:
            failures[job] = outcome.failure
        total = time.perf_counter() - start
        print(f"{label(done, job)}  {outcome.state}  ({outcome.seconds:.1f} s, {total:.0f} s so far)", flush=True)

    while waiting or running:
        for job in list(waiting):
            needed = runs.plan.needs(job)
            if len(running) == slots or any(need in waiting or need in running.values() for need in needed):
                continue
            waiting.remove(job)
            lost = [need.entry.name for need in needed if need in failures]
            if lost:
                reason = f"it needs {lost[0]}, which failed."
                conclude(job, Outcome(f"FAILED: {reason}", 0.0, reason))
                break
            if runs.bars:
                print(label(done + 1, job), file=sys.stderr)
            running[executor.submit(runs.attempt, job)] = job
            break
        else:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                conclude(running.pop(future), _outcome(future))
    return failures


def _subset(job: Job) -> str:
    """Say which images a run is on, where there are several choices."""
    return "" if job.subset_seed is None else f"images {job.subset_seed}"


def _outcome(future: Future[Outcome]) -> Outcome:
    """Return how a run went."""
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a process of the study was killed, perhaps for want of memory: say the command again with fewer "
            "`--processes`; what is finished is kept and what was interrupted goes on."
        ) from error
