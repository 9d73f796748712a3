"""Markdown tables, and lists and plurals in sentences."""

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


def first(names: Sequence[str], shown: int = 10) -> str:
    """Return the first names and the number of the rest."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun: `1 file`, `2 files`, or with the given plural."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
