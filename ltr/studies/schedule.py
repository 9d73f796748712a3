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
    """Run what is not finished, in order as far as that is possible, and print the outcome of each run.

    Args:
        runs: what runs are made with.
        jobs: the runs, with all that they need.
        executor: where they take place.
        slots: how many at once.

    Returns:
        Why runs failed.

    Raises:
        InputError: if a process was killed.
        KeyboardInterrupt: if a run was interrupted.
    """
    waiting, running = list(jobs), dict[Future[Outcome], Job]()
    failures: dict[Job, str] = {}
    start, width, done = time.perf_counter(), max(len(job.entry.title) for job in jobs), 0

    def label(number: int, job: Job) -> str:
        seed = "" if job.seed is None else f"seed {job.seed}"
        about = "".join(f" {part}" for part in (job.setting.title, job.images, seed) if part)
        return f"[{number:>{len(str(len(jobs)))}}/{len(jobs)}] {job.entry.title:<{width}}{about}"

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
            if failed := [need.entry.name for need in needed if need in failures]:
                reason = f"it needs {failed[0]}, which failed."
                conclude(job, Outcome(f"FAILED: {reason}", 0.0, reason))
                break
            if runs.bars:
                print(label(done + 1, job), file=sys.stderr)
            running[executor.submit(runs.attempt, job)] = job
            break
        else:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                try:
                    outcome = future.result()
                except BrokenProcessPool as error:
                    raise InputError(
                        "a process of the study was killed, perhaps for lack of memory: run the command again with "
                        "fewer `--processes`. Finished runs are kept, and interrupted ones resume."
                    ) from error
                conclude(running.pop(future), outcome)
    return failures
