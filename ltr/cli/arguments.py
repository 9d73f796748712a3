"""The words of a command line: options with their values, and YAML as a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from jsonargparse import get_loader

from ltr.errors import InputError
from ltr.run import lookup
from ltr.run.description import repeated_keys

CONFIG, HELP = ("config", "c"), ("help", "h")
OPTION = re.compile(r"--?([A-Za-z_][\w.-]*\+?)(?:=(.*))?", re.DOTALL)


class Argument(NamedTuple):
    """An option with its value, or a word that belongs to no option.

    Attributes:
        words: as they were given, `--name value` or `--name=value`.
        name: of the option, without dashes; empty for a word that belongs to none.
        value: None if no value follows.
    """

    words: tuple[str, ...]
    name: str = ""
    value: str | None = None


def split(words: Sequence[str]) -> list[Argument]:
    """Return the options of a command line with their values, in order."""
    split_words, rest = [], [*words]
    while rest:
        word = rest.pop(0)
        if (match := OPTION.fullmatch(word)) is None:
            split_words.append(Argument((word,)))
        elif match[2] is None and rest and not OPTION.fullmatch(rest[0]):
            value = rest.pop(0)
            split_words.append(Argument((word, value), match[1], value))
        else:
            split_words.append(Argument((word,), match[1], match[2]))
    return split_words


def join(arguments: Iterable[Argument]) -> list[str]:
    """Return the words of some options."""
    return [word for argument in arguments for word in argument.words]


def values(words: Sequence[str], *names: str) -> list[str]:
    """Return the values that are given to an option, in order."""
    return [argument.value for argument in split(words) if argument.name in names and argument.value is not None]


def without(words: Sequence[str], *names: str) -> list[str]:
    """Return words without an option and its values."""
    return join(argument for argument in split(words) if argument.name not in names or argument.value is None)


def read(name: str) -> dict[str, Any]:
    """Return the content of a config, by its path or the name of a shipped one.

    Raises:
        InputError: if there is none, or it is not YAML with options.
    """
    path = lookup.config(name)
    try:
        return load(path.read_text(encoding="utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: save it with that encoding.") from error


def content(config: str) -> dict[str, Any]:
    """Return the content of a config as `--config` takes it: by its path, the name of a shipped one, or as YAML text.

    Raises:
        InputError: if there is none, or it is not YAML with options.
    """
    return load(config, "the config") if "\n" in config or ":" in config else read(config)


def load(text: str, source: str) -> dict[str, Any]:
    """Return the content of YAML text, with numbers as the parser reads them.

    Args:
        text: the YAML.
        source: its origin, for the error.

    Raises:
        InputError: if it is not YAML with options.
    """
    try:
        content, repeated = get_loader("yaml")(text), next(repeated_keys(text), None)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{source} is not valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, Mapping | None):
        raise InputError(f"{source} has no options: a config is `option: value`, one a line.")
    if repeated is not None:
        raise InputError(f"{source} has {repeated} twice in one place: keep one of them.")
    if unnamed := [key for key in content or {} if not isinstance(key, str)]:
        raise InputError(f"{source} has the {type(unnamed[0]).__name__} {unnamed[0]} as an option, whose name is text.")
    return dict(content or {})


def text(value: Any) -> str:
    """Return a value as the YAML text of one word."""
    return str(yaml.safe_dump(value, sort_keys=False, width=float("inf"))).removesuffix("...\n").rstrip("\n")
