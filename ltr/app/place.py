"""Where the page may read and write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ltr.errors import InputError, did_you_mean
from ltr.run import lookup
from ltr.run.folder import CHECKPOINT, RunFolder

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,79}")
DEPTH = 3  # of a study of several data sets: study, data, run


@dataclass(frozen=True)
class Place:
    """The folders of a page. Whatever a browser names is looked up here, and nothing else is opened.

    Attributes:
        runs: where runs are kept.
        folders: what besides may be read: data, weights.
    """

    runs: Path
    folders: tuple[Path, ...] = ()

    @property
    def own(self) -> Path:
        """Where the page keeps what is its own: logs, uploads."""
        return self.runs / ".app"

    def inside(self, path: str, *, there: bool = True) -> Path:
        """Return a path that may be read.

        Args:
            path: as a browser says it.
            there: whether something must be there.

        Raises:
            InputError: where it leads out of the folders, or nothing is there.
        """
        try:
            found = Path(path).expanduser().resolve()
        except (OSError, RuntimeError, ValueError) as error:  # too long, of an unknown user, with a zero in it
            raise InputError(f"{path!r} is no path.") from error
        roots = [root.resolve() for root in (self.runs, *self.folders)]
        if not any(found.is_relative_to(root) for root in roots):
            raise InputError(
                f"{path} is outside of the folders of this page ({', '.join(map(str, roots))}): start it with "
                "`ltr app --folders` and the folder it is in."
            )
        if there and not found.exists():
            raise InputError(f"{path} does not exist.")
        return found

    def names(self) -> list[str]:
        """Return the runs by their ways below the folder of the runs, the latest first; then those that are shipped."""
        found = sorted(self._folders(self.runs, DEPTH), key=changed, reverse=True)
        own = [folder.relative_to(self.runs).as_posix() for folder in found]
        return list(dict.fromkeys([*own, *(path.parent.name for path in _shipped())]))

    def run(self, name: str) -> Path:
        """Return the folder of a run.

        Raises:
            InputError: where there is no run of that name.
        """
        if not name:
            raise InputError("choose a run first.")
        if name not in (known := self.names()):
            raise InputError(f"there is no run {name}{did_you_mean(name, known)}")
        return self._at(name)

    def having(self, sign: str) -> list[str]:
        """Return the runs that have a file of that name, in the order of `names`."""
        return [name for name in self.names() if (self._at(name) / sign).is_file()]

    def trusts(self, path: Path) -> bool:
        """Tell whether a file was written by a training here, or is shipped; any other may be a stranger's."""
        ours = (self.runs.resolve(), lookup.folder("checkpoints").resolve())
        return any(map(path.is_relative_to, ours)) and not path.is_relative_to(self.own.resolve())

    def new(self, name: str) -> Path:
        """Return the folder that a run of a name would have.

        Raises:
            InputError: where it is no name of a folder.
        """
        if not NAME.fullmatch(name):
            raise InputError(
                f"a run cannot be called {name!r}: take up to 80 letters, digits and `_ + . -`, the first no sign."
            )
        return self.runs / name

    def _at(self, name: str) -> Path:
        """Return the folder of a run that there is."""
        own = self.runs / name
        return own if own.is_dir() else lookup.folder("checkpoints") / name

    def _folders(self, folder: Path, depth: int) -> list[Path]:
        """Return the folders of runs below a folder."""
        inner = [path for path in folder.glob("*/") if not path.name.startswith(".")] if depth else []
        runs = [path for path in inner if RunFolder(path).exists]
        return runs + [found for path in inner if path not in runs for found in self._folders(path, depth - 1)]


def changed(path: Path) -> float:
    """Return when a path was changed last, 0 where it is gone by now."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0


def _shipped() -> list[Path]:
    """Return the checkpoints that come with the package."""
    return sorted(lookup.folder("checkpoints").glob(f"*/{CHECKPOINT}"))
