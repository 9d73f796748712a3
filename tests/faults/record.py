"""The record of faults: a file that only grows, one JSON line for each fault, and the table of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ltr.markdown import markdown_table
from tests.faults.kinds import LOST

Line = dict[str, Any]


class Record:
    """A file with a line for each fault.

    Args:
        path: the file; it is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        *whole, begun = text.split("\n")
        if begun:  # a line that was interrupted, which the next one must not continue
            path.write_text("".join(f"{one}\n" for one in whole), encoding="utf-8")
        self.lines: list[Line] = [json.loads(one) for one in whole]

    def add(self, line: Line) -> None:
        """Add a fault."""
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def done(self, seed: int) -> set[int]:
        """Return the numbers of the faults of a seed that are there."""
        return {line["number"] for line in self.lines if line["seed"] == seed}

    @property
    def files(self) -> Counter[str]:
        """How often each file was damaged."""
        return Counter(line["file"] for line in self.lines if line["file"])

    @property
    def lost(self) -> list[Line]:
        """The faults after which a result was lost or another one."""
        return [line for line in self.lines if line["state"] == LOST]

    @property
    def table(self) -> str:
        """A row for each verb, a column for each kind: injected / survived."""
        injected = Counter((line["verb"], line["kind"]) for line in self.lines)
        lost = Counter((line["verb"], line["kind"]) for line in self.lost)
        kinds = list(dict.fromkeys(kind for _, kind in sorted(injected)))
        verbs = sorted({verb for verb, _ in injected})

        def cell(pairs: list[tuple[str, str]]) -> str:
            number = sum(injected[pair] for pair in pairs)
            return f"{number} / {number - sum(lost[pair] for pair in pairs)}" if number else "-"

        rows = [[verb, *(cell([(verb, kind)]) for kind in kinds), cell(_pairs([verb], kinds))] for verb in verbs]
        rows.append(["all", *(cell(_pairs(verbs, [kind])) for kind in kinds), cell(_pairs(verbs, kinds))])
        return markdown_table(["injected / survived", *kinds, "all"], rows)


def _pairs(verbs: list[str], kinds: list[str]) -> list[tuple[str, str]]:
    """Return all pairs of a verb and a kind."""
    return [(verb, kind) for verb in verbs for kind in kinds]
