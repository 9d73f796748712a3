"""A lock: one process at a time works on a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ltr.errors import InputError

PATIENCE = 2.0  # seconds that a process waits for another one that only looks
LOOK, POLL = 0.1, 0.01  # seconds: a process that only looks releases the lock within LOOK


@dataclass(frozen=True)
class Lock:
    """A file that one process at a time holds; it is free again when that process ends, in whatever way.

    Attributes:
        file: the file. It stays when the lock is free.
        what: what is locked, such as `the run gml`, for the error.
    """

    file: Path
    what: str

    @contextmanager
    def hold(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the lock; one thread may hold it several times over.

        Args:
            timeout: seconds to wait for another process, else PATIENCE; below 0 for as long as it takes.

        Raises:
            InputError: if another process still holds it, or the file cannot be made.
        """
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.file, is_singleton=True)
            lock.acquire(timeout=PATIENCE if timeout is None else timeout)
        except Timeout as error:
            raise InputError(f"another process is working on {self.what}: wait for it, or stop it.") from error
        except OSError as error:
            raise InputError(
                f"{self.file} could not be written ({error.strerror or error}): choose another folder with `--runs` to "
                "train, or copy a run of others to a folder of yours."
            ) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def held(self) -> bool:
        """Whether a process holds it; False if the file may not be opened, as that of another user."""
        if not self.file.is_file():
            return False
        try:
            with FileLock(self.file).acquire(timeout=LOOK, poll_interval=POLL):
                return False
        except Timeout:
            return True
        except OSError:
            return False
