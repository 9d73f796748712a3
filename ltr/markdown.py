"""Text and tables in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What Markdown reads as markup: a bracket in a link, an underscore at the edge of a word, an ampersand before a name.
MARKUP = re.compile(r"([\\`*<|]|\](?=[\[(:])|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;))")


def escape(text: str) -> str:
    """Return text, such as a name from data, on one line and without markup."""
    return MARKUP.sub(r"\\\1", " ".join(text.split()))


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, figures: bool = True) -> str:
    """Return a Markdown table.

    Args:
        head: titles of the columns.
        rows: their cells.
        figures: right-align all columns but the first.
    """
    rule = "|---|" + ("---:|" if figures else "---|") * (len(head) - 1)
    return "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
