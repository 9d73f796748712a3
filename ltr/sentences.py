"""Parts of sentences: lists, plurals, the nearest known name, what a terminal can show."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

FEW = 12  # names that an error sentence lists
LONGEST = 1000  # characters of an error sentence


def first(names: Sequence[str], shown: int = 10) -> str:
    """Return the first names and the number of the rest."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun: `1 file`, `2 files`, or with the given plural."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error sentence: the nearest known name, or the names there are."""
    known = sorted(set(known))
    folded = {item.lower(): item for item in known}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {folded[close[0]]}?"
    return f"; there are {first(known, FEW)}." if known else "."


def first_line(error: BaseException) -> str:
    """Return the beginning of the message of an error, or its class if it has none."""
    return next(iter(str(error).strip().splitlines()), "")[:100] or type(error).__name__


def printable(text: str) -> str:
    r"""Return text as one line that a terminal can show: control characters as `\x1b`, a long line without its middle.

    Text from files and from the command line may be of any length and have any characters in it.
    """
    line = "".join(part if part.isprintable() else part.encode("unicode_escape").decode() for part in text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
