"""The command line, where the runs are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ltr.__main__ import main


def run(words: str, *more: str) -> int:
    """Run a verb; return the exit status. Further words may have spaces in them."""
    try:
        main([*words.split(), *more])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def metrics(folder: str) -> dict[str, Any]:
    """Return what an evaluation has measured."""
    return dict(json.loads(Path(folder, "metrics.json").read_text()))


def network(place: str) -> str:
    """Return the words for a network of few layers: each takes its time whenever a network is written."""
    return f"{place} ResNetCIFAR {place}.depth 8 {place}.width 4"
