"""How tests are collected. The process that only distributes them over others imports nothing heavy."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

PROCESSES = {"in_two_processes", "site", "browser"}
collect_ignore = ["preloaded.py"]  # has no doctests, and works as it is imported


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures where tests run, and do not look for garbage while tests are collected: there is none.

    All computing is on one thread, also in processes that tests start: sums are the same on every machine, and small
    tensors gain nothing from several threads.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    gc.disable()
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", 0):
        config.pluginmanager.import_plugin("shared_fixtures")


def pytest_collection_finish() -> None:
    """Look for garbage from now on, but not among what is imported and collected."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count as slow what starts processes of its own, and all cases but the first of what is `slow_but_one`."""
    first: set[tuple[Path, str]] = set()
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        case = (item.path, item.originalname)
        if PROCESSES & set(item.fixturenames) or (item.get_closest_marker("slow_but_one") and case in first):
            item.add_marker(pytest.mark.slow)
        first.add(case)
