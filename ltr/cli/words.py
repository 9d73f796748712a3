"""The words of a command line, and YAML as one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml
from jsonargparse import get_loader

from ltr.errors import InputError
from ltr.run import lookup

CONFIG = ("config", "c")
OPTION = re.compile(r"--?([A-Za-z_][\w.-]*\+?)(?:=(.*))?", re.DOTALL)


class Word(NamedTuple):
    """An option on the command line, written `--name value` or `--name=value`.

    Attributes:
        start: position of its first word.
        stop: one after that of its last.
        name: without dashes.
        value: None if no value follows.
    """

    start: int
    stop: int
    name: str
    value: str | None


def options(words: list[str]) -> Iterator[Word]:
    """Yield the options among words, in their order."""
    for start, word in enumerate(words):
        if (match := OPTION.fullmatch(word)) is None:
            continue
        name, value = match[1], match[2]
        if value is not None:
            yield Word(start, start + 1, name, value)
        elif start + 1 < len(words) and not OPTION.fullmatch(words[start + 1]):
            yield Word(start, start + 2, name, words[start + 1])
        else:
            yield Word(start, start + 1, name, None)


def values(words: list[str], *names: str) -> list[str]:
    """Return the values that are given to an option, in their order."""
    return [value for *_, name, value in options(words) if name in names and value is not None]


def without(words: list[str], *names: str) -> list[str]:
    """Return words without an option and its values."""
    left = list(words)
    for start, stop, name, value in reversed([*options(words)]):
        if name in names and value is not None:
            del left[start:stop]
    return left


def asks(words: list[str], *names: str) -> bool:
    """Return whether one of some options is among words; `help` stands for that of a part, too."""
    return any(name in names or ("help" in names and name.endswith(".help")) for *_, name, _ in options(words))


def read(name: str) -> dict[str, Any]:
    """Return the content of a config, by its path or the name of a shipped one.

    Raises:
        InputError: if there is none, or it is no YAML with options.
    """
    path = lookup.config(name)
    return load(path.read_text(encoding="utf-8"), str(path))


def load(text: str, where: str) -> dict[str, Any]:
    """Return what YAML text says, its numbers as the parser reads them.

    Args:
        text: the YAML.
        where: it is from, for the error.

    Raises:
        InputError: if it is no YAML with options.
    """
    try:
        content = get_loader("yaml")(text)
    except yaml.YAMLError as error:
        raise InputError(f"{where} is no YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, Mapping | None):
        raise InputError(f"{where} holds no options: a config is `option: value`, one a line.")
    return dict(content or {})


def text(value: Any) -> str:
    """Return a value as the YAML text of one word."""
    return str(yaml.safe_dump(value, sort_keys=False, width=float("inf")))
