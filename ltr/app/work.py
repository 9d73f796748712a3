"""The process of a job: the verbs it was given, one after the other. `python -m ltr.app.work FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ltr import files
from ltr.cli.messages import messages
from ltr.cli.perform import perform

PATIENCE = 2.0  # seconds: who only looks whether the lock is held has it for a moment


def work(folder: Path) -> int:
    """Do a job while holding its lock, and note how far it is.

    Args:
        folder: of the job; `job.json` has the `commands`, and `state.json` is written.

    Returns:
        The exit status: of the first command that failed, else 0.
    """
    try:
        with FileLock(folder / "lock", timeout=PATIENCE):
            code = 0
            job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
            for step, words in enumerate(job["commands"]):
                files.write_json(folder / "state.json", {"pid": os.getpid(), "step": step, "code": None})
                code = status(words)
                if code:
                    break
            else:
                for path in job["unwanted"]:
                    Path(path).unlink(missing_ok=True)
            files.write_json(folder / "state.json", {"pid": os.getpid(), "step": step, "code": code})
            return code
    except Timeout:
        print("ltr: error: this run is at work already.", file=sys.stderr)
        return 2


def status(words: list[str]) -> int:
    """Run one of Lightning's verbs, and return its exit status."""
    verb: Any = words[0]
    try:
        with messages():
            perform(verb, words[1:])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1])))
