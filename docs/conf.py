"""How Sphinx builds the documentation: `sphinx-build -W -b html docs docs/_build`."""

from __future__ import annotations

import re
from os.path import relpath
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from ltr.version import __version__

project = "ltr"
author = "The ltr developers"
copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "results"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = "ltr"
html_static_path = ["_static"]
html_css_files = ["tables.css"]

myst_heading_anchors = 3

autodoc_member_order = "alphabetical"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an attribute of a NamedTuple would be described twice
napoleon_custom_sections = [("Shape", "notes_style"), ("Reference", "notes_style")]
default_role = "code"  # docstrings write code in single backticks

DOCS = Path(__file__).parent
# Pages that are files of other folders, where their readers look for them. The pages here only name these files.
ELSEWHERE = {
    "recipes": "../configs/README.md",
    "benchmarks": "../tests/benchmarks/README.md",
    "security": "../SECURITY.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s]+)(?=\))")
CODE = re.compile(r"(`+.*?`+)")


def show_files_of_other_folders(_: Sphinx, page: str, source: list[str]) -> None:
    """Put these files in the place of their pages, and let links to the files lead to the pages."""
    if page in ELSEWHERE:
        file = DOCS / ELSEWHERE[page]
        source[0] = LINK.sub(lambda link: relpath(file.parent / link[1], DOCS), file.read_text(encoding="utf-8"))
    for name, path in ELSEWHERE.items():
        source[0] = source[0].replace(f"]({path}", f"]({name}.md")


def read_as_plain_text(*event: Any) -> None:
    """Keep reStructuredText from reading markup in what docstrings write plainly: `|x|`, and letters after code."""
    *_, lines = event
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = CODE.split(line)
            plain = [part if CODE.fullmatch(part) else part.replace("|", r"\|") for part in parts]
            lines[number] = re.sub(r"(`[^`]+`)(?=\w)", r"\1\\ ", "".join(plain))


def setup(app: Sphinx) -> None:
    """Register the two changes of sources."""
    app.connect("source-read", show_files_of_other_folders)
    app.connect("autodoc-process-docstring", read_as_plain_text)
