"""The paths that the page may read and write."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ltr.app.job import Job
from ltr.app.progress import modified
from ltr.errors import InputError
from ltr.run import lookup
from ltr.run.folder import CHECKPOINT, PLAIN_NAME, RunFolder, plain_name
from ltr.sentences import did_you_mean

DEPTH = 3  # folders from the root to a run of a study with several data sets: study, data, run


@dataclass(frozen=True)
class AllowedPaths:
    """The folders of a page. Every path or run that a browser names is looked up here; nothing else is opened.

    Attributes:
        runs: the folder of the runs.
        folders: further folders that may be read, such as those of data and weights.
        packages: names of the packages whose classes the config of a run may name, besides `ltr`.
    """

    runs: Path
    folders: tuple[Path, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def own(self) -> Path:
        """The folder of uploads and downloads."""
        return self.runs / ".app"

    @property
    def downloads(self) -> Path:
        """The folder of the files that the page offers."""
        return self.own / "downloads"

    def inside(self, path: str, *, there: bool = True) -> Path:
        """Return the absolute path, if it may be read.

        Args:
            path: as the browser sent it.
            there: whether it must exist.

        Raises:
            InputError: if it leads out of the folders, or does not exist.
        """
        try:
            whole = Path(path).expanduser().resolve()
        except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown user, a zero byte
            raise InputError(f"{path!r} is not a valid path.") from error
        roots = [root.resolve() for root in (self.runs, *self.folders)]
        if not any(whole.is_relative_to(root) for root in roots):
            raise InputError(
                f"{path} is outside of the folders of this page ({', '.join(map(str, roots))}): add its folder with "
                "`ltr app --folders`."
            )
        if there and not os.path.exists(whole):  # `whole.exists()` raises an error if a name is too long
            raise InputError(f"{path} does not exist.")
        return whole

    def all(self) -> dict[str, RunFolder]:
        """Return the runs by their paths relative to `runs`, the latest first; then the shipped ones by name."""
        folders = sorted(self._folders(self.runs, DEPTH), key=modified, reverse=True)
        here = {folder.relative_to(self.runs).as_posix(): RunFolder(folder) for folder in folders}
        shipped = sorted(lookup.folder("checkpoints").glob(f"*/{CHECKPOINT}"))
        return here | {path.parent.name: RunFolder(path.parent) for path in shipped if path.parent.name not in here}

    def names(self) -> list[str]:
        """Return the names of the runs, the latest first."""
        return list(self.all())

    def run(self, name: str) -> RunFolder:
        """Return a run.

        Raises:
            InputError: if there is no run of that name.
        """
        if not name:
            raise InputError("choose a run first.")
        if name not in (runs := self.all()):
            raise InputError(f"there is no run {name}{did_you_mean(name, runs)}")
        return runs[name]

    def listed(self) -> dict[str, RunFolder]:
        """Return the runs that are offered: all but the networks before a tuning, which belong to the tuning."""
        runs = self.all()
        hidden = {before.path for name in runs if (before := self.before(name))}
        return {name: run for name, run in runs.items() if run.path not in hidden}

    def with_weights(self) -> list[str]:
        """Return the names of the listed runs that have weights."""
        return [name for name, run in self.listed().items() if run.checkpoint.is_file()]

    def tested(self) -> list[str]:
        """Return the names of the listed runs that were tested."""
        return [name for name, run in self.listed().items() if run.tested()]

    def is_shipped(self, run: RunFolder) -> bool:
        """Tell whether a run comes with `ltr`."""
        return not run.path.resolve().is_relative_to(self.runs.resolve())

    def trusts(self, path: Path) -> bool:
        """Tell whether a file was written by a training here, or is shipped with `ltr`."""
        ours = (self.runs.resolve(), lookup.folder("checkpoints").resolve())
        return any(map(path.is_relative_to, ours)) and not path.is_relative_to(self.own.resolve())

    def new(self, name: str) -> Path:
        """Return the folder of a new run.

        Raises:
            InputError: if the name is not allowed.
        """
        return self.runs / plain_name(name, "the name of a run")

    @property
    def trust_words(self) -> list[str]:
        """The arguments of `ltr` that trust the packages of the page."""
        return trust_words(self.packages)

    def job(self, name: str) -> Job:
        """Return the job of a run, which need not exist yet.

        Raises:
            InputError: if it cannot be the name of a run.
        """
        for part in name.split("/"):
            self.new(part)
        return Job.of(self.runs, name)

    def before(self, name: str) -> RunFolder | None:
        """Return the run of the network before a tuning of this page; None if the run is not known as such a tuning."""
        job, before = self.job(name), RunFolder(self.runs / name).before
        with suppress(InputError):  # a study that cannot be read
            if job.known and any(entry.name == before.name for entry in job.plan.entries):
                return before
        return None

    def jobs(self) -> list[Job]:
        """Return the jobs that the page has started, the latest first."""
        return Job.all(self.runs)

    def _folders(self, folder: Path, depth: int) -> list[Path]:
        """Return the folders of the runs below a folder."""
        inner = [path for path in folder.glob("*/") if PLAIN_NAME.fullmatch(path.name)] if depth else []
        runs = [path for path in inner if RunFolder(path).exists]
        return runs + [run for path in inner if path not in runs for run in self._folders(path, depth - 1)]


def trust_words(packages: Iterable[str]) -> list[str]:
    """Return the arguments of `ltr` that trust packages."""
    return [word for package in packages for word in ("--trust", package)]
