"""One working directory for all threads of the page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def staying() -> Iterator[None]:
    """Keep the process where it is.

    jsonargparse goes into the folder of every config that it reads, and comes back. All threads go with it: whoever
    looks up a relative path in that moment, or starts a process, does it elsewhere. For the paths in a config it keeps
    the folder in mind by other means, so nothing is missed.
    """
    change, os.chdir = os.chdir, lambda _: None  # type: ignore[assignment]
    try:
        yield
    finally:
        os.chdir = change
