"""The words of a command line: options with their values, YAML as a value, and what a value of a type can be."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import yaml
from jsonargparse import get_loader

from ltr.errors import InputError
from ltr.run import lookup

CONFIG, HELP = ("config", "c"), ("help", "h")
OPTION = re.compile(r"--?([A-Za-z_][\w.-]*\+?)(?:=(.*))?", re.DOTALL)
FORMS = {int: "a whole number", float: "a number", bool: "true or false"}
NOTHING = ("none", "null", "~")

# ---- options


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
    found, rest = [], [*words]
    while rest:
        word = rest.pop(0)
        if (match := OPTION.fullmatch(word)) is None:
            found.append(Argument((word,)))
        elif match[2] is None and rest and not OPTION.fullmatch(rest[0]):
            value = rest.pop(0)
            found.append(Argument((word, value), match[1], value))
        else:
            found.append(Argument((word,), match[1], match[2]))
    return found


def join(arguments: Iterable[Argument]) -> list[str]:
    """Return the words of some options."""
    return [word for argument in arguments for word in argument.words]


def values(words: Sequence[str], *names: str) -> list[str]:
    """Return the values that are given to an option, in order."""
    return [argument.value for argument in split(words) if argument.name in names and argument.value is not None]


def without(words: Sequence[str], *names: str) -> list[str]:
    """Return words without an option and its values."""
    return join(argument for argument in split(words) if argument.name not in names or argument.value is None)


# ---- YAML


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


def load(text: str, source: str) -> dict[str, Any]:
    """Return the content of YAML text, with numbers as the parser reads them.

    Args:
        text: the YAML.
        source: where it is from, for the error.

    Raises:
        InputError: if it is not YAML with options.
    """
    try:
        content = get_loader("yaml")(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{source} is not valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, Mapping | None):
        raise InputError(f"{source} has no options: a config is `option: value`, one a line.")
    return dict(content or {})


def text(value: Any) -> str:
    """Return a value as the YAML text of one word."""
    return str(yaml.safe_dump(value, sort_keys=False, width=float("inf")))


# ---- types


def is_union(hint: Any) -> bool:
    """Return whether a type hint is one of several."""
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def is_optional(hint: Any) -> bool:
    """Return whether a type hint has None."""
    return is_union(hint) and type(None) in typing.get_args(hint)


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the type hints of which one has to hold."""
    return typing.get_args(hint) if is_union(hint) else (hint,)


def is_simple(hint: Any) -> bool:
    """Return whether a type hint is that of a single number, text or word."""
    return hint in (*FORMS, str, type(None)) or typing.get_origin(hint) is Literal


def literals(hint: Any) -> list[Any]:
    """Return the values that a type hint has as literals."""
    return [word for kind in alternatives(hint) if typing.get_origin(kind) is Literal for word in typing.get_args(kind)]


def fits(hint: Any, value: Any) -> bool:
    """Return whether a value can be of a type; True if only the parser can tell."""
    return any(_fits(kind, value) for kind in alternatives(hint))


def _fits(kind: Any, value: Any) -> bool:
    """Return whether a value can be of a type that is not a union."""
    written = str(value)
    if typing.get_origin(kind) is Literal:
        return written in map(str, typing.get_args(kind))
    if getattr(kind, "__name__", "") == "Tensor":  # as the rate of an optimizer may be, in Python
        return False
    if kind is type(None):
        return value is None or written.lower() in NOTHING
    if kind is bool:
        return written.lower() in ("true", "false", "yes", "no", "on", "off")
    if kind in (int, float):
        try:
            kind(written)
        except ValueError:
            return False
    return True


def form(hint: Any) -> str:
    """Return what a value of a type looks like, in words."""
    kinds = [kind for kind in alternatives(hint) if kind is not type(None)]
    words = [f"one of {', '.join(map(str, typing.get_args(kind)))}" for kind in kinds if typing.get_args(kind)]
    return " or ".join([FORMS[kind] for kind in kinds if kind in FORMS] + words)
