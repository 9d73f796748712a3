"""Find the files that a table or a list names, and notice two names of one file."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from ltr.data.file_list import hidden, is_image, split_of
from ltr.data.images import each
from ltr.errors import InputError
from ltr.sentences import first


def missing(home: Path, names: Sequence[str], what: str) -> list[int]:
    """Return the positions of the files that do not exist.

    Each folder is read once: for a million files that is faster than a system call for each of them.

    Args:
        home: folder that the names are relative to.
        names: paths of the files.
        what: label of the progress bar.
    """
    folders = list(by_folder(names).items())

    def absent(number: int) -> list[int]:
        folder, positions = folders[number]
        entries = names_in(home / folder)
        return [position for position in positions if os.path.basename(names[position]) not in entries]

    return sorted(chain.from_iterable(each(absent, len(folders), what)))


def present(paths: Sequence[str], what: object) -> None:
    """Check that files exist.

    Args:
        paths: the files.
        what: the file that lists them.

    Raises:
        InputError: if some are missing.
    """
    absent = missing(Path(), paths, "folders")
    if absent:
        raise InputError(
            f"{len(absent)} of the {len(paths)} images that {what} lists are missing, the first is {paths[absent[0]]}: "
            "check the folder that the paths are relative to."
        )


def locate(names: Sequence[str], folder: Path, table: Path, *, split: str = "") -> list[str]:
    """Return the paths of images that a table names.

    A name is a path relative to the folder, or to the only folder in it that has all images; with or without its
    ending, in upper or lower case, with slashes or backslashes.

    Args:
        names: as the table has them.
        folder: where they should be.
        table: the file that names them.
        split: the split of the whole table, whose folder is preferred if several have all images.

    Raises:
        InputError: if images are missing, or a name stands for several files.
    """
    paths = find(names, folder)
    if None in paths:
        parents = [
            parent
            for parent in sorted(folder.iterdir() if folder.is_dir() else ())
            if parent.is_dir() and not hidden(parent.name) and find(names[:1], parent) != [None]
        ]
        complete = {parent: found for parent in parents if None not in (found := find(names, parent))}
        if len(complete) > 1:
            complete = {
                parent: found for parent, found in complete.items() if split_of(parent.name) == split
            } or complete
        if len(complete) > 1:
            raise InputError(
                f"the images of {table} may be those in {first([str(parent) for parent in complete])}: name their "
                "folder with `--data.images`."
            )
        paths = next(iter(complete.values()), paths)
    absent = [name for name, path in zip(names, paths, strict=True) if path is None]
    if absent:
        raise InputError(
            f"{len(absent)} of the {len(names)} images that {table} lists are missing, the first is "
            f"{folder / absent[0]}: name the folder that the paths are relative to with `--data.images`."
        )
    return [path for path in paths if path is not None]


def find(names: Sequence[str], folder: Path) -> list[str | None]:
    """Return the paths of images in a folder, None for those that are missing; see `locate`."""
    paths: list[str | None] = [None] * len(names)
    for parent, positions in by_folder(names).items():
        exact = names_in(folder / parent)
        loose: dict[str, list[str]] | None = None
        for position in positions:
            name = os.path.basename(names[position])
            if name not in exact:
                loose = loose or by_folded_name(exact)
                candidates = loose.get(folded(name), [])
                if len(candidates) > 1:
                    raise InputError(
                        f"{names[position]} may be {' or '.join(sorted(candidates))} in {folder / parent}: write one "
                        "of these in the table."
                    )
                name = candidates[0] if candidates else ""
            if name:
                paths[position] = str(folder / parent / name)
    windows = [position for position, path in enumerate(paths) if path is None and "\\" in names[position]]
    if windows:
        slashed = [names[position].replace("\\", "/") for position in windows]
        for position, path in zip(windows, find(slashed, folder), strict=True):
            paths[position] = path
    return paths


def by_folded_name(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the images among the names in a folder by what else may stand for them, with and without the ending."""
    images: dict[str, list[str]] = defaultdict(list)
    for name in filter(is_image, names):
        images[folded(name)].append(name)
        images[folded(os.path.splitext(name)[0])].append(name)
    return images


def folded(name: str) -> str:
    """Return a name without the difference of upper and lower case or of the forms of Unicode."""
    return unicodedata.normalize("NFC", name).casefold()


def by_folder(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of paths by their folders."""
    positions: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        positions[os.path.dirname(name)].append(position)
    return positions


def names_in(folder: Path) -> set[str]:
    """Return the names in a folder, an empty set if it cannot be read."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def identities(paths: Sequence[str]) -> Iterator[tuple[int, object]]:
    """Yield the position of each file and what all its names share: device and inode, links followed.

    A path without a file yields its text.
    """
    for folder, positions in by_folder(paths).items():
        try:
            device = os.stat(folder or ".").st_dev
            with os.scandir(folder or ".") as entries:
                inodes = {entry.name: entry.inode() for entry in entries if not entry.is_symlink()}
        except OSError:
            device, inodes = 0, {}
        for position in positions:
            inode = inodes.get(os.path.basename(paths[position]))
            if inode is not None:
                yield position, (device, inode)
                continue
            try:
                state = os.stat(paths[position])
                yield position, (state.st_dev, state.st_ino)
            except OSError:
                yield position, paths[position]
