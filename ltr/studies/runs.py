"""The runs of a study: finished ones are kept, interrupted ones resume.

A result is looked up in two places. First in `docs/results/<study>/`, which is part of the repository: it counts if its
arguments are those that the run has in the default folder, `checkpoints/<study>/`. Then in the folder of the study,
where new runs are written.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ltr import files
from ltr.errors import InputError, advice
from ltr.measures import shown
from ltr.run import lookup
from ltr.run.evaluation import ANEW, made_with, read_arguments, write_arguments
from ltr.run.folder import RunFolder
from ltr.studies.job import Job
from ltr.studies.plan import Plan

Perform = Callable[..., None]
RUNS = Path("checkpoints")
# The results that are part of the repository, a folder per study. An installed wheel has none.
COMMITTED = lookup.PACKAGE.parent / "docs" / "results"


class Outcome(NamedTuple):
    """The outcome of a run.

    Attributes:
        state: its figures, or that it failed, for the terminal.
        seconds: its duration.
        failure: why it failed, None if it did not.
    """

    state: str
    seconds: float
    failure: str | None = None


@dataclass(frozen=True)
class Runs:
    """The runs of a study in a folder; may be sent to other processes.

    Attributes:
        plan: the study.
        folder: where its runs are.
        perform: runs a verb with its arguments, and raises `InputError` if they cannot be used.
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

    def run(self, job: Job) -> RunFolder:
        """Return the folder of a training."""
        return RunFolder(self.folder / job.folder)

    def read(self, job: Job) -> dict[str, Any] | None:
        """Return the measures of a run, None if the run is not finished.

        Raises:
            InputError: if they are damaged.
        """
        path = self.result(job)
        if not path.is_file():
            return None
        with advice(ANEW):
            return files.read_json(path)

    def result(self, job: Job) -> Path:
        """Return where the metrics of a run are: the committed ones if these arguments gave them, else its own."""
        committed = self.committed / self.plan.name / job.result
        if self.plan.name and committed.is_file():
            arguments = self.plan.arguments(job, RUNS / self.plan.name, self.common)
            if read_arguments(committed.parent) == arguments:
                return committed
        return self.folder / job.result

    def attempt(self, job: Job) -> Outcome:
        """Run a row if it is not finished; wait for another process that works on it.

        An interruption ends the study: it is not a failure of the row.
        """
        began = time.perf_counter()
        try:
            with self.run(job).lock.hold(timeout=-1):
                finished = self._kept(job) and not self._weights_missing(job)
                if not finished:
                    self.train(job)
                    self.test(job)
                measures = self.read(job)
        except Exception as error:
            if not isinstance(error, InputError):
                traceback.print_exc()
            failure = str(error) or type(error).__name__
            return Outcome(f"FAILED: {failure}", time.perf_counter() - began, failure)
        assert measures is not None
        figures = "  ".join(f"{row.title} {row.scale * measures[row.key]:5.1f}" for row in shown("progress"))
        state = figures + ("  (kept)" if finished else "")
        return Outcome(state, time.perf_counter() - began)

    def _kept(self, job: Job) -> bool:
        """Return whether a run is finished; refuse a result that other arguments gave."""
        result = self.result(job)
        if result.is_relative_to(self.committed):
            return True
        if not result.is_file():
            return False
        if not made_with(result.parent, self._arguments(job)):
            raise InputError(
                f"{result} was made with other arguments: delete {self.run(job).path}, or give the row another name."
            )
        return True

    def _weights_missing(self, job: Job) -> bool:
        """Return whether a run has its result but not its weights, and another run needs them for its own."""
        return job.entry.fit is not None and not self.run(job).checkpoint.is_file() and self._needed(job)

    def _needed(self, job: Job) -> bool:
        """Return whether a run that has no result yet needs the weights of another."""
        waiting = (other for other in self.plan.jobs if not self.result(other).is_file())
        return any(job in self.plan.needs(other) for other in waiting)

    def _arguments(self, job: Job) -> dict[str, Any]:
        """Return the arguments of a run."""
        return self.plan.arguments(job, self.folder, self.common)

    def train(self, job: Job) -> None:
        """Train a row if it has a training, from its last checkpoint if it was interrupted.

        Raises:
            InputError: if the training was begun with other arguments, or it fails.
        """
        run, arguments = self.run(job), self._arguments(job)
        own = (self.folder / job.result).parent
        *fit, _ = self.plan.commands(job, self.folder, self.common)
        bar = [] if self.bars else ["--trainer.enable_progress_bar", "false"]
        for verb, *words in fit:
            going_on = ["--ckpt_path", "last"] if any(path.is_file() for path in run.weights) else []
            if going_on and not made_with(own, arguments):
                raise InputError(
                    f"the training of {run.path} was begun with other arguments: go on with these, delete it, or give "
                    "the row another name."
                )
            write_arguments(own, arguments)
            # Interrupted in its first epoch, or a result whose weights are needed again.
            again = ["--overwrite"] if run.exists and not going_on else []
            self.perform(verb, [*words, *bar, *again, *going_on], tell=False)

    def test(self, job: Job) -> None:
        """Test a row, and keep the arguments that gave its result."""
        *_, (verb, *words) = self.plan.commands(job, self.folder, self.common)
        own = (self.folder / job.result).parent  # the committed result may be there, without its weights
        write_arguments(own, self._arguments(job))  # first, so that no result is without them
        self.perform(verb, words, tell=False)

    def drop_weights(self) -> None:
        """Delete the weights that the study does not keep, once no other run needs them."""
        for job in self.plan.jobs:
            if not job.entry.keep and self.result(job).is_file() and not self._needed(job):
                for path in self.run(job).weights:
                    path.unlink(missing_ok=True)
