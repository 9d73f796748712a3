"""The verb: read finished runs, write one page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib

from ltr import files
from ltr.html.page import page
from ltr.report import compared, single
from ltr.report.figures import STYLE
from ltr.run import lookup
from ltr.run.folder import RunFolder
from ltr.version import __version__

DESCRIPTION = """Write one HTML file about a finished run, or about several side by side: figures, curves, the recall of
every class, confusion, calibration, the classifier, features, the worst classes, config. Nothing is loaded from
elsewhere when it is opened. What a run lacks is named with the command that brings it."""


def report(arguments: Sequence[str]) -> None:
    """Write the page.

    Args:
        arguments: runs, by name or folder, and options.

    Raises:
        InputError: where there is no such run, its files are damaged, or the page cannot be written.
    """
    parser = argparse.ArgumentParser("ltr report", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="name, folder or checkpoint of a run")
    parser.add_argument("--output", default="report.html", help="the file to write")
    said = parser.parse_args(arguments)
    runs = [lookup.run(name) for name in dict.fromkeys(said.runs)]
    files.write_text(Path(said.output), write(runs))
    print(said.output)


def write(runs: Sequence[RunFolder]) -> str:
    """Return the page of one run, or of several compared."""
    with matplotlib.rc_context(STYLE):
        parts = single.sections(runs[0]) if len(runs) == 1 else compared.sections(runs)
    return page(f"ltr: {parts[0].title}", parts, footer=f"Written by `ltr report` {__version__}.")
