"""Pages that need nothing but themselves: no script, font or picture from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; --line: #8884; --faint: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; }
code, pre { font-size: .9em; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tbody tr:hover { background: var(--faint); }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; background: white; }
"""


def page(title: str, body: Sequence[str]) -> str:
    """Return a page.

    Args:
        title: as text.
        body: its parts as HTML.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join([f"<h1>{escape(title)}</h1>", *body])
        + "\n</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that scrolls sideways where the window is too narrow.

    Args:
        head: the titles of the columns, as text.
        rows: their cells, as HTML.
    """
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table></div>'


def picture(path: Path, text: str) -> str:
    """Return a PNG within the page.

    Args:
        path: the file.
        text: what it shows, for who cannot see it.
    """
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<figure><img src="data:image/png;base64,{content}" alt="{escape(text)}"></figure>'
