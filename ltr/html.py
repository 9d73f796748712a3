"""HTML pages that load nothing from elsewhere: no script, font or image. Text is escaped."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Container, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

PHONE = "(max-width: 48rem)"
STYLE = """\
:root { color-scheme: light dark; --page: #fff; --text: #1b1b1f; --soft: #5c5f66; --line: #d8dade; --box: #f4f5f7;
  --link: #0a58a8 }
@media (prefers-color-scheme: dark) {
  :root { --page: #121316; --text: #e6e7ea; --soft: #a3a7b0; --line: #34373d; --box: #1c1e23; --link: #7db8f2 }
  img.figure { filter: invert(1) hue-rotate(180deg) }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem 1rem 4rem; max-width: 74rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; margin: .5rem 0; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: .5rem; border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; overflow-wrap: anywhere }
p { margin: .5rem 0; max-width: 60rem }
p.note, figcaption, footer { color: var(--soft); font-size: .875rem }
p.missing { padding: .5rem .75rem; background: var(--box); border-left: 3px solid var(--line) }
a { color: var(--link) }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .9rem }
.wide { overflow-x: auto; margin: .5rem 0;
  background:
    linear-gradient(to right, var(--page) 2rem, transparent), linear-gradient(to left, var(--page) 2rem, transparent),
    linear-gradient(to right, var(--line), transparent), linear-gradient(to left, var(--line), transparent);
  background-position: left, right, left, right; background-repeat: no-repeat;
  background-size: 3rem 100%, 3rem 100%, .75rem 100%, .75rem 100%; background-attachment: local, local, scroll, scroll }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap }
tbody th { font-weight: 500 }
.figures td, .figures thead th:not(:first-child) { text-align: right; white-space: nowrap }
.figures tbody th { min-width: 11rem }
.words td { overflow-wrap: anywhere; min-width: 12rem }
pre { margin: .5rem 0; padding: .6rem .75rem; overflow-x: auto; background: var(--box); font-size: .8125rem }
details { margin: .5rem 0 }
summary { cursor: pointer; color: var(--link) }
img.figure { display: block; width: 100%; height: auto; max-height: 100vh; object-fit: contain; object-position: left }
.photographs { display: flex; flex-wrap: wrap; gap: .75rem; margin: .4rem 0 }
figure { margin: 0; width: 8.5rem }
figcaption { overflow-wrap: break-word; line-height: 1.3 }
img.photograph { width: 5rem; height: 5rem; object-fit: contain; image-rendering: pixelated; display: block;
  background: var(--box) }
@media (max-width: 48rem) {
  img.figure { width: auto; max-width: none; min-width: 40rem; max-height: 32rem }
  img.narrow { width: 100%; min-width: 0; max-height: none }
}
"""


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        title: its heading, as text.
        content: HTML.
    """

    title: str
    content: str


def escape(value: object) -> str:
    """Return text that is safe between tags and within quotes."""
    return html.escape(str(value))


def breakable(text: str) -> str:
    """Return text that may break after an underscore, as long names of classes need it."""
    return escape(text).replace("_", "_<wbr>")


def sentence(text: str, *, kind: str = "") -> str:
    """Return a paragraph of plain text, in which what is between backticks is code."""
    content = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return f'<p class="{escape(kind)}">{content}</p>' if kind else f"<p>{content}</p>"


def command(text: str) -> str:
    """Return a command on its own line."""
    return f"<pre><code>{escape(text)}</code></pre>"


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    figures: bool = True,
    bold: Container[tuple[int, int]] = (),
) -> str:
    """Return a table of plain text that scrolls sideways where it is too wide.

    Args:
        head: the titles of the columns.
        rows: their cells.
        figures: whether all columns but the first are figures, which stand to the right.
        bold: (row, column) of the cells that stand out.
    """

    def written(row: int, column: int, cell: str) -> str:
        return f"<td>{f'<b>{escape(cell)}</b>' if (row, column) in bold else escape(cell)}</td>"

    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(written(row, column, cell) for column, cell in enumerate(cells, 1))
        + "</tr>"
        for row, (first, *cells) in enumerate(rows)
    )
    kind = "figures" if figures else "words"
    whole = f'<table class="{kind}"><thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'
    return f'<div class="wide">{whole}</div>'


def folded(summary: str, content: str) -> str:
    """Return content (HTML) that opens at a click on a summary (text)."""
    return f"<details><summary>{escape(summary)}</summary>\n{content}\n</details>"


def picture(figure: Figure, alternative: str, *, narrow: Figure | None = None) -> str:
    """Return a figure as an image within the page.

    Args:
        figure: the figure.
        alternative: what it shows, for those who cannot see it.
        narrow: the same for the width of a phone; None if the figure scrolls sideways there.
    """
    if narrow is None:
        image = f'<img class="figure" src="{_svg(figure)}" alt="{escape(alternative)}">'
    else:
        other = f'<source media="{PHONE}" srcset="{_svg(narrow)}">'
        image = (
            f'<picture>{other}<img class="figure narrow" src="{_svg(figure)}" alt="{escape(alternative)}"></picture>'
        )
    return f'<div class="wide">{image}</div>'


def photograph(image: ArrayLike, alternative: str) -> str:
    """Return an image (H, W, 3) of uint8."""
    import numpy as np
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(content, "PNG")
    return f'<img class="photograph" src="{_data("image/png", content.getvalue())}" alt="{escape(alternative)}">'


def page(title: str, sections: Sequence[Section], *, footer: str) -> str:
    """Return the whole page.

    Args:
        title: of the page.
        sections: what is in it, in order; the first stands before the list of the others.
        footer: a last line, as text.
    """
    first, *others = sections
    links = "\n".join(f'<a href="#s{number}">{escape(part.title)}</a>' for number, part in enumerate(others, 1))
    body = "\n".join(
        f'<section id="s{number}">\n<h2>{escape(part.title)}</h2>\n{part.content}\n</section>'
        for number, part in enumerate(others, 1)
    )
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(first.title)}</h1>
{first.content}
</header>
<nav>
{links}
</nav>
<main>
{body}
</main>
<footer>{escape(footer)}</footer>
</body>
</html>
"""


def _svg(figure: Figure) -> str:
    """Return the address of a figure that lies in it."""
    text = io.BytesIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _data("image/svg+xml", text.getvalue())


def _data(kind: str, content: bytes) -> str:
    """Return the address of a file that lies in it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
