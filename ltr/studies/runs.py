"""The runs of a study: finished ones are kept, interrupted ones resume.

A result is looked up in two places. First in `docs/results/<study>/`, which is part of the repository: it counts if its
arguments are those that the run has in the default folder, `checkpoints/<study>/`. Then in the folder of the study,
where new runs are written.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ltr.errors import InputError
from ltr.measures import shown
from ltr.run import job as run_job
from ltr.run import lookup
from ltr.run.folder import RunFolder, made_with, read_arguments, write_arguments
from ltr.studies.job import Job
from ltr.studies.plan import Plan

Perform = Callable[..., None]
RUNS = Path("checkpoints")
# The results that are part of the repository, a folder per study. An installed wheel has none.
COMMITTED = lookup.PACKAGE.parent / "docs" / "results"


class Outcome(NamedTuple):
    """How a run went.

    Attributes:
        state: its figures, or that it failed, for the terminal.
        seconds: how long it took.
        failure: why it failed, None where it did not.
    """

    state: str
    seconds: float
    failure: str | None = None


@dataclass(frozen=True)
class Runs:
    """What can be done with a run; may be sent to other processes.

    Attributes:
        plan: the study.
        folder: where its runs are.
        perform: runs a verb with its arguments, raising `InputError` where they cannot be used.
        common: arguments of every training.
        bars: whether trainings show their progress.
        committed: where the results lie that are part of the repository, a folder per study.
    """

    plan: Plan
    folder: Path
    perform: Perform
    common: tuple[str, ...] = ()
    bars: bool = False
    committed: Path = COMMITTED

    def home(self, job: Job) -> Path:
        """Return the folder of a training."""
        return self.folder / job.folder

    def read(self, job: Job) -> dict[str, Any] | None:
        """Return the measures of a run, None where the run is not finished."""
        path = self.result(job)
        if not path.is_file():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def result(self, job: Job) -> Path:
        """Return where the metrics of a run are: the committed ones if these arguments gave them, else its own."""
        committed = self.committed / self.plan.name / job.result
        if committed.is_file() and read_arguments(committed.parent) == self.plan.arguments(
            job, RUNS / self.plan.name, self.common
        ):
            return committed
        return self.folder / job.result

    def attempt(self, job: Job) -> Outcome:
        """Run a row where it is not finished. Who else is at it, in another process, is waited for."""
        began = time.perf_counter()
        lock = run_job.Job.of(self.folder.parent, f"{self.folder.name}/{job.folder}")
        try:
            with lock.locked():
                finished = self._kept(job) and not self._missed(job)
                if not finished:
                    self._train_and_test(job)
        except (Exception, SystemExit) as error:
            if not isinstance(error, InputError):
                traceback.print_exc()
            failure = str(error) or type(error).__name__
            return Outcome(f"FAILED: {failure}", time.perf_counter() - began, failure)
        measures = self.read(job)
        assert measures is not None
        figures = "  ".join(f"{row.title} {row.scale * measures[row.key]:5.1f}" for row in shown("progress"))
        state = figures + ("  (kept)" if finished else "")
        return Outcome(state, time.perf_counter() - began)

    def _kept(self, job: Job) -> bool:
        """Tell whether a run is finished; refuse a result that other arguments gave."""
        result = self.result(job)
        if result.is_relative_to(self.committed):
            return True
        if not result.is_file():
            return False
        if not made_with(result.parent, self._arguments(job)):
            raise InputError(
                f"{result} was made with other arguments: delete {self.home(job)}, or give the row another name."
            )
        return True

    def _missed(self, job: Job) -> bool:
        """Tell whether a run has its result but not its weights, and another run needs them for its own."""
        if job.entry.fit is None or RunFolder(self.home(job)).checkpoint.is_file():
            return False
        waiting = (other for other in self.plan.jobs if not self.result(other).is_file())
        return any(job in self.plan.needs(other) for other in waiting)

    def _arguments(self, job: Job) -> dict[str, Any]:
        """Return the arguments of a run."""
        return self.plan.arguments(job, self.folder, self.common)

    def _train_and_test(self, job: Job) -> None:
        """Train a row where it trains, going on where it was interrupted, then test it."""
        home, arguments = self.home(job), self._arguments(job)
        run = RunFolder(home)
        if arguments["fit"] is not None:
            named = ["--runs", str(home.parent), "--name", home.name, "--seed_everything", str(job.seed)]
            if run.checkpoint.is_file():
                named += ["--ckpt_path", "last"]
            elif run.exists:  # interrupted in its first epoch, or a result whose weights are needed again
                named.append("--overwrite")
            bar = [] if self.bars else ["--trainer.enable_progress_bar", "false"]
            self.perform("fit", [*arguments["fit"], *bar, *named], tell=False)
        result = self.folder / job.result
        tested = ["--ckpt_path", str(run.checkpoint), "--evaluation", result.parent.name, *arguments["test"]]
        self.perform("test", tested, tell=False)
        write_arguments(result.parent, arguments)
