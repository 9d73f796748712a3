"""What was computed once is kept, with the arguments that gave it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ltr import files
from ltr.errors import InputError

NOTE = "arguments.json"


def kept(result: Path, arguments: Mapping[str, Any], *, remedy: str) -> bool:
    """Tell whether a result is there.

    Args:
        result: the file.
        arguments: what would give it now.
        remedy: what to do where other ones gave it.

    Raises:
        InputError: where other arguments gave it.
    """
    if not result.is_file():
        return False
    note = result.with_name(NOTE)
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) != arguments:
        raise InputError(f"{result} was made with other arguments: {remedy}.")
    return True


def note(result: Path, arguments: Mapping[str, Any]) -> None:
    """Write down beside a result what gave it."""
    files.write_json(result.with_name(NOTE), dict(arguments))
