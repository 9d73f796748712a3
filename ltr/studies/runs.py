"""The runs of a study in their folder: what is finished is kept, what was interrupted goes on."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ltr.errors import InputError
from ltr.run import job as run_job
from ltr.run import lookup
from ltr.studies.job import Job
from ltr.studies.kept import kept, note
from ltr.studies.plan import Plan

Perform = Callable[..., None]


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
    """

    plan: Plan
    folder: Path
    perform: Perform
    common: tuple[str, ...] = ()
    bars: bool = False

    def home(self, job: Job) -> Path:
        """Return the folder of a training."""
        return self.folder / job.folder

    def read(self, job: Job) -> dict[str, Any] | None:
        """Return the content of metrics.json, None where the run is not finished."""
        path = self.folder / job.result
        if not path.is_file():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

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
        figures = "  ".join(f"{word} {100 * measures[key]:5.1f}" for word, key in (("top-1", "top1"), ("HM", "hm")))
        state = f"{figures}  lowest {100 * measures['lowest']:5.1f}" + ("  (kept)" if finished else "")
        return Outcome(state, time.perf_counter() - began)

    def _kept(self, job: Job) -> bool:
        """Tell whether a run is finished; refuse a result that other arguments gave."""
        remedy = f"delete {self.home(job)}, or give the row another name"
        return kept(self.folder / job.result, self._arguments(job), remedy=remedy)

    def _missed(self, job: Job) -> bool:
        """Tell whether a run has its result but not its weights, and another run needs them for its own."""
        if job.entry.fit is None or (self.home(job) / lookup.LAST).is_file():
            return False
        waiting = (other for other in self.plan.jobs if not (self.folder / other.result).is_file())
        return any(job in self.plan.needs(other) for other in waiting)

    def _arguments(self, job: Job) -> dict[str, Any]:
        """Return what a run is told."""
        return self.plan.arguments(job, self.folder, self.common)

    def _train_and_test(self, job: Job) -> None:
        """Train a row where it trains, going on where it was interrupted, then test it."""
        home, arguments = self.home(job), self._arguments(job)
        if arguments["fit"] is not None:
            named = ["--runs", str(home.parent), "--name", home.name, "--seed_everything", str(job.seed)]
            if (home / lookup.LAST).is_file():
                named += ["--ckpt_path", "last"]
            elif home.is_dir():  # interrupted within its first epoch, or a result whose weights are needed again
                named.append("--overwrite")
            bar = [] if self.bars else ["--trainer.enable_progress_bar", "false"]
            self.perform("fit", [*arguments["fit"], *bar, *named], tell=False)
        result = self.folder / job.result
        tested = ["--ckpt_path", str(home / lookup.LAST), "--evaluation", result.parent.name, *arguments["test"]]
        self.perform("test", tested, tell=False)
        note(result, arguments)
