"""Keep results with the arguments that gave them; find those that are part of the repository."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ltr import files
from ltr.errors import InputError
from ltr.run import lookup

NOTE = "arguments.json"
# The results that are part of the repository, a folder per study. An installed wheel has none.
COMMITTED = lookup.PACKAGE.parent / "docs" / "results"


def kept(result: Path, arguments: Mapping[str, Any], *, remedy: str) -> bool:
    """Tell whether a result is there.

    Args:
        result: the file.
        arguments: what would give it now.
        remedy: what to do if other arguments made it.

    Raises:
        InputError: if other arguments made it.
    """
    if not result.is_file():
        return False
    made = noted(result)
    if made is not None and made != arguments:
        raise InputError(f"{result} was made with other arguments: {remedy}.")
    return True


def noted(result: Path) -> dict[str, Any] | None:
    """Return the arguments that gave a result, None if they are not noted beside it."""
    path = result.with_name(NOTE)
    if not path.is_file():
        return None
    arguments: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return arguments


def note(result: Path, arguments: Mapping[str, Any]) -> None:
    """Write the arguments of a result beside it."""
    files.write_json(result.with_name(NOTE), dict(arguments))
