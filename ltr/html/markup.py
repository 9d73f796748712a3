"""HTML in small pieces, with everything that is not ours escaped."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Container, Sequence

from matplotlib.figure import Figure
from numpy.typing import ArrayLike


def escape(value: object) -> str:
    """Return text that is safe between tags and within quotes."""
    return html.escape(str(value))


def sentence(text: str, *, kind: str = "") -> str:
    """Return a paragraph of plain text, in which what is between backticks is code."""
    content = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return f'<p class="{escape(kind)}">{content}</p>' if kind else f"<p>{content}</p>"


def command(text: str) -> str:
    """Return a command in a line of its own."""
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


def picture(figure: Figure, alternative: str) -> str:
    """Return a figure as an image within the page, at least legible where the screen is narrow."""
    text = io.BytesIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    source = _data("image/svg+xml", text.getvalue())
    return f'<div class="wide"><img class="figure" src="{source}" alt="{escape(alternative)}"></div>'


def photograph(image: ArrayLike, alternative: str) -> str:
    """Return an image (H, W, 3) of uint8."""
    import numpy as np
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(content, "PNG")
    return f'<img class="photograph" src="{_data("image/png", content.getvalue())}" alt="{escape(alternative)}">'


def _data(kind: str, content: bytes) -> str:
    """Return the address of a file that lies in it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
