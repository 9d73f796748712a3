"""The verb: read finished runs, write one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from ltr import files
from ltr.errors import InputError
from ltr.html import page
from ltr.report import compared, single
from ltr.report.figures import STYLE
from ltr.run import lookup
from ltr.run.folder import RunFolder
from ltr.version import __version__


def report(runs: list[str], /, *, output: str = "report.html", overwrite: bool = False) -> None:
    """Write one HTML file about a finished run, or about several side by side.

    The page has figures, curves, the recall of every class, confusion, calibration, the classifier, features, the worst
    classes and the config, and loads nothing from elsewhere. If a run lacks something, the page names the command that
    adds it.

    Args:
        runs: name, folder or checkpoint of one run or several.
        output: the file to write.
        overwrite: replace the file if it is there.

    Raises:
        InputError: if there is no such run, its files are damaged, or the page is there already or cannot be written.
    """
    if Path(output).exists() and not overwrite:
        raise InputError(f"{output} exists already: choose another `--output`, or replace it with `--overwrite`.")
    files.write_text(Path(output), write([lookup.run(name) for name in dict.fromkeys(runs)]))
    print(output)


def write(runs: Sequence[RunFolder]) -> str:
    """Return the page of one run, or of several compared."""
    with matplotlib.rc_context(STYLE):
        parts = single.sections(runs[0]) if len(runs) == 1 else compared.sections(runs)
    return page(f"ltr: {parts[0].title}", parts, footer=f"Written by ltr report {__version__}.")
