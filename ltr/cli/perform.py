"""Fit, validate, test and predict in this process."""

from __future__ import annotations

import sys

from lightning.pytorch.utilities.exceptions import SIGTERMException

from ltr.apart import apart
from ltr.cli.command import Command, Verb
from ltr.cli.short_help import short_help


def perform(verb: Verb, arguments: list[str], *, tell: bool = True) -> None:
    """Do one of Lightning's verbs.

    Args:
        verb: what to do.
        arguments: what follows it.
        tell: whether the result is printed.

    Raises:
        InputError: for bad input.
        SystemExit: with status 143 after SIGTERM.
    """
    if {"-h", "--help"} & {*arguments} and "all" not in arguments:
        print(short_help(verb), end="")
        return
    try:
        with apart():
            Command(verb, arguments, tell=tell).start()
    except SIGTERMException as end:
        print("ltr: stopped by SIGTERM; go on with `--ckpt_path last`.", file=sys.stderr)
        raise SystemExit(143) from end
