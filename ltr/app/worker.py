"""Start and resume runs; the process that works on one is `python -m ltr.app.worker FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ltr.app.allowed_paths import AllowedPaths
from ltr.cli.messages import messages
from ltr.errors import InputError
from ltr.run.folder import CHECKPOINT
from ltr.run.job import Job

WORKER = (sys.executable, "-m", "ltr.app.worker")


def start(paths: AllowedPaths, name: str, commands: Sequence[Sequence[str]], *, unwanted: Sequence[Path] = ()) -> None:
    """Start a process that runs commands of `ltr`, one after the other.

    Args:
        paths: the folders of the page. Its packages are passed on, so that the runs may name their classes.
        name: of the run that they make.
        commands: the arguments of `ltr`, for each command.
        unwanted: files to delete after all commands have succeeded.

    Raises:
        InputError: if a process is working on the run already.
    """
    paths.job(name).start([_trusting(words, paths.packages) for words in commands], WORKER, unwanted=unwanted)


def _trusting(words: Sequence[str], packages: Sequence[str]) -> list[str]:
    """Return a command that trusts the packages; one that is resumed may trust them already."""
    missing = [package for package in packages if ("--trust", package) not in pairwise(words)]
    return [*words, *(word for package in missing for word in ("--trust", package))]


def resume(paths: AllowedPaths, name: str) -> None:
    """Start a process that completes a run.

    Raises:
        InputError: if there is nothing to resume, or a process is working on the run already.
    """
    commands, unwanted = remaining(paths, name)
    start(paths, name, commands, unwanted=unwanted)


def remaining(paths: AllowedPaths, name: str) -> tuple[list[list[str]], list[Path]]:
    """Return the commands that complete a run, and the files to delete after them.

    Raises:
        InputError: if there is nothing to resume.
    """
    job = paths.job(name)
    if not job.known:
        run = paths.run(name)
        if not (run / CHECKPOINT).is_file():
            raise InputError(f"the run {name} has no checkpoint, so it cannot be resumed.")
        return [["fit", "--ckpt_path", str(run / CHECKPOINT)], ["test", "--ckpt_path", str(run)]], []
    first, *others = job.commands[job.step :]
    checkpoint = paths.runs / name / CHECKPOINT
    if first[0] == "fit" and checkpoint.is_file():
        first = ["fit", "--ckpt_path", str(checkpoint)]
    return [first, *others], job.unwanted


def exit_status(words: list[str]) -> int:
    """Run one of Lightning's verbs in this process and return its exit status."""
    from ltr.cli.command import perform  # imports torch, which the page does not wait for

    verb: Any = words[0]
    try:
        with messages():
            perform(verb, words[1:])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    try:
        folder = Path(sys.argv[1])
        sys.exit(Job(folder.name, folder).work(exit_status))
    except InputError as error:
        print(f"ltr: error: {error}", file=sys.stderr)
        sys.exit(2)
