"""One fork server for all tests of a process: what it forks has imported everything, and starts in milliseconds."""

from __future__ import annotations

import multiprocessing

PRELOADED = ["tests.preloaded"]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOADED)
