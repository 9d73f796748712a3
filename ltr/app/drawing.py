"""Figures as the report has them, drawn one at a time: their style is one for the whole process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOCK = threading.Lock()


@contextmanager
def drawing() -> Iterator[None]:
    """Draw figures in the style of the report while nobody else draws."""
    import matplotlib

    from ltr.report.figures import STYLE

    with LOCK, matplotlib.rc_context(STYLE):
        yield
