"""Start and resume runs; the process that works on one is `python -m ltr.app.worker FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ltr.app.allowed_paths import AllowedPaths
from ltr.cli import main
from ltr.errors import InputError
from ltr.run import lookup
from ltr.run.job import Job

WORKER = (sys.executable, "-m", "ltr.app.worker")


def start(job: Job, commands: Sequence[Sequence[str]], *, unwanted: Sequence[Path] = ()) -> None:
    """Start a process that runs commands of `ltr`, one after the other.

    Args:
        job: of the run that they make.
        commands: the arguments of `ltr`, for each command.
        unwanted: files to delete after all commands have succeeded.

    Raises:
        InputError: if a process is working on the run already.
    """
    job.start(commands, WORKER, unwanted=unwanted)


def resume(paths: AllowedPaths, name: str) -> None:
    """Start a process that completes a run.

    Raises:
        InputError: if there is nothing to resume, or a process is working on the run already.
    """
    commands, unwanted = remaining(paths, name)
    start(paths.job(name), commands, unwanted=unwanted)


def remaining(paths: AllowedPaths, name: str) -> tuple[list[list[str]], list[Path]]:
    """Return the commands that complete a run, and the files to delete after them.

    Raises:
        InputError: if there is nothing to resume.
    """
    job = paths.job(name)
    if not job.known:
        run = paths.run(name)
        if not (run / lookup.LAST).is_file():
            raise InputError(f"the run {name} has no checkpoint, so it cannot be resumed.")
        return [["fit", "--ckpt_path", str(run / lookup.LAST)], ["test", "--ckpt_path", str(run)]], []
    first, *others = job.commands[job.step :]
    checkpoint = paths.runs / name / lookup.LAST
    if first[0] == "fit" and checkpoint.is_file():
        first = ["fit", "--ckpt_path", str(checkpoint)]
    return [first, *others], job.unwanted


def exit_status(words: list[str]) -> int:
    """Run a command of `ltr` in this process and return its exit status."""
    try:
        main(words)
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
