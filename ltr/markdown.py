"""Tables for people who read text."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, figures: bool = True) -> str:
    """Return a Markdown table.

    Args:
        head: the titles of the columns.
        rows: their cells.
        figures: whether all columns but the first are figures, which stand to the right.
    """
    rule = "|---|" + ("---:|" if figures else "---|") * (len(head) - 1)
    return "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
