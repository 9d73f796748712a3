"""A study that is called as the command line calls it."""

from __future__ import annotations

import shlex

from ltr.cli.call import call
from ltr.studies.runs import Perform
from ltr.studies.study import study as verb


def study(words: list[str], perform: Perform) -> None:
    """Run a study with the words of the command line and a stand-in for the trainings."""
    call(verb, words, perform=perform, command=shlex.join(["ltr", "study", *words]))
