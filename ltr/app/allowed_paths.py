"""The paths that the page may read and write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ltr.errors import InputError, did_you_mean
from ltr.run import lookup
from ltr.run.folder import CHECKPOINT, RunFolder
from ltr.run.job import Job, modified

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,79}")
BEFORE = "_before"  # suffix of the run that holds a network before its tuning
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

    def inside(self, path: str, *, there: bool = True) -> Path:
        """Return the absolute path, if it may be read.

        Args:
            path: as the browser sent it.
            there: whether it must exist.

        Raises:
            InputError: if it leads out of the folders, or does not exist.
        """
        try:
            found = Path(path).expanduser().resolve()
        except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown user, a zero byte
            raise InputError(f"{path!r} is not a valid path.") from error
        roots = [root.resolve() for root in (self.runs, *self.folders)]
        if not any(found.is_relative_to(root) for root in roots):
            raise InputError(
                f"{path} is outside of the folders of this page ({', '.join(map(str, roots))}): add its folder with "
                "`ltr app --folders`."
            )
        if there and not found.exists():
            raise InputError(f"{path} does not exist.")
        return found

    def names(self) -> list[str]:
        """Return the runs as paths relative to `runs`, the latest first; then the shipped ones."""
        found = sorted(self._folders(self.runs, DEPTH), key=modified, reverse=True)
        own = [folder.relative_to(self.runs).as_posix() for folder in found]
        return list(dict.fromkeys([*own, *(path.parent.name for path in _shipped())]))

    def run(self, name: str) -> Path:
        """Return the folder of a run.

        Raises:
            InputError: if there is no run of that name.
        """
        if not name:
            raise InputError("choose a run first.")
        if name not in (known := self.names()):
            raise InputError(f"there is no run {name}{did_you_mean(name, known)}")
        return self._at(name)

    def having(self, file: str) -> list[str]:
        """Return the runs that have this file, in the order of `names`."""
        return [name for name in self.names() if (self._at(name) / file).is_file()]

    def trusts(self, path: Path) -> bool:
        """Tell whether a file was written by a training here, or is shipped with `ltr`."""
        ours = (self.runs.resolve(), lookup.folder("checkpoints").resolve())
        return any(map(path.is_relative_to, ours)) and not path.is_relative_to(self.own.resolve())

    def new(self, name: str) -> Path:
        """Return the folder of a new run.

        Raises:
            InputError: if the name is not allowed.
        """
        if not NAME.fullmatch(name):
            raise InputError(
                f"a run cannot be called {name!r}: use up to 80 letters, digits and `_ + . -`, first a letter or digit."
            )
        return self.runs / name

    def job(self, name: str) -> Job:
        """Return the job of a run, which need not exist yet.

        Raises:
            InputError: if it cannot be the name of a run.
        """
        for part in name.split("/"):
            self.new(part)
        return Job.of(self.runs, name)

    def jobs(self) -> list[Job]:
        """Return the jobs that the page has started, the latest first."""
        return Job.all(self.runs)

    def _at(self, name: str) -> Path:
        """Return the folder of an existing run."""
        own = self.runs / name
        return own if own.is_dir() else lookup.folder("checkpoints") / name

    def _folders(self, folder: Path, depth: int) -> list[Path]:
        """Return the folders of the runs below a folder."""
        inner = [path for path in folder.glob("*/") if not path.name.startswith(".")] if depth else []
        runs = [path for path in inner if RunFolder(path).exists]
        return runs + [found for path in inner if path not in runs for found in self._folders(path, depth - 1)]


def _shipped() -> list[Path]:
    """Return the checkpoints that come with the package."""
    return sorted(lookup.folder("checkpoints").glob(f"*/{CHECKPOINT}"))
