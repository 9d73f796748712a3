"""The progress of a study, read from the files that its runs write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ltr.html import escape
from ltr.run.folder import RunFolder
from ltr.studies.plan import Plan


@dataclass(frozen=True)
class Progress:
    """The progress of a study.

    Attributes:
        done: finished rows.
        rows: all rows.
        title: of the row that is worked on.
        epoch: epochs of its training that are over.
        epochs: all epochs of its training; 0 if they are not known yet.
        left: seconds until the training ends; None if unknown.
    """

    done: int
    rows: int
    title: str = ""
    epoch: int = 0
    epochs: int = 0
    left: float | None = None

    @classmethod
    def of(cls, plan: Plan, runs: Path, *, began: float | None = None, before: int = 0) -> Progress:
        """Read the progress of a study.

        Args:
            plan: the study.
            runs: the folder of its runs.
            began: when its process started, in seconds since 1970; None if there is none.
            before: epochs of the first training that were over at that time.
        """
        jobs = plan.jobs
        waiting = [job for job in jobs if not (runs / job.result).is_file()]
        if not waiting:
            return cls(len(jobs), len(jobs))
        done, job = len(jobs) - len(waiting), waiting[0]
        run = RunFolder(runs / job.folder)
        trains = job.entry.fit is not None and run.curves_file.is_file()
        epoch, epochs = (run.trained_epochs, run.planned_epochs) if trains else (0, 0)
        left, new = None, epoch - before
        if began is not None and new > 0 and done == 0:
            left = (epochs - epoch) * (modified(run.curves_file) - began) / new
        return cls(done, len(jobs), job.entry.title, epoch, epochs, left)

    @property
    def words(self) -> str:
        """The progress as text."""
        row = f"{self.title} ({self.done + 1} of {self.rows})" if self.rows > 1 else self.title
        if not self.epochs:
            return f"{row}: starting" if not self.done else row
        if self.epoch >= self.epochs:
            return f"{row}: testing"
        left = "" if self.left is None else f", {int(self.left) // 60}:{int(self.left) % 60:02} left"
        return f"{row}: epoch {self.epoch} of {self.epochs}{left}"

    @property
    def html(self) -> str:
        """The progress as text with a bar below."""
        percent = f"{100 * (self.done + self.epoch / max(self.epochs, 1)) / self.rows:.0f}"
        return (
            f"<p>{escape(self.words)}</p>"
            f'<div class="bar" role="progressbar" aria-valuenow="{percent}" aria-valuemin="0" aria-valuemax="100">'
            f'<div style="width: {percent}%"></div></div>'
        )


def modified(path: Path) -> float:
    """Return when a path was modified last; 0 if it does not exist."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0
