"""Which files of a list are not there, without a look at each of them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from ltr.data.images import each
from ltr.errors import InputError


def missing(home: Path, names: Sequence[str], what: str) -> list[int]:
    """Return the positions of the files that are not there.

    Every folder is read once, which asks less of a disk than a look at each of a million files.

    Args:
        home: where the names start from.
        names: paths of the files.
        what: shown beside the progress.
    """
    places = defaultdict(list)
    for position, name in enumerate(names):
        places[os.path.dirname(name)].append(position)
    folders = list(places)

    def absent(number: int) -> list[int]:
        there = entries(home / folders[number])
        return [position for position in places[folders[number]] if os.path.basename(names[position]) not in there]

    return sorted(chain.from_iterable(each(absent, len(folders), what)))


def entries(folder: Path) -> set[str]:
    """Return the names in a folder; none where there is no such folder."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def present(paths: Sequence[str], what: object) -> None:
    """Check that files are there.

    Args:
        paths: the files.
        what: where they are listed.

    Raises:
        InputError: where some are not.
    """
    absent = missing(Path(), paths, "folders")
    if absent:
        raise InputError(
            f"{len(absent)} of the {len(paths)} images that {what} lists are missing, the first is {paths[absent[0]]}: "
            "check the folder that the paths are relative to."
        )
