"""Figures and reports of runs as HTML, drawn one at a time: matplotlib's style belongs to the whole process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib

from ltr.app.allowed_paths import AllowedPaths
from ltr.report.figures import STYLE, training_picture
from ltr.report.report import write
from ltr.run.folder import RunFolder

LOCK = threading.Lock()


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the style of the reports, while no other thread draws."""
    with LOCK, matplotlib.rc_context(STYLE):
        yield


def curves(paths: AllowedPaths, name: str) -> str:
    """Return loss, top-1, GM, HM and lowest recall of a run per epoch; empty before the first epoch is over."""
    rows = RunFolder(paths.runs / name).curves
    if not rows:
        return ""
    with drawing():
        return training_picture(rows)


def report(paths: AllowedPaths, name: str) -> str:
    """Return the report of a run as its own page.

    Raises:
        InputError: if there is no such run, or it has no results.
    """
    run = paths.run(name)
    with drawing():
        return write([run])
