"""Type hints of options: whether a value fits one, and its form in words."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal

FORMS = {int: "a whole number", float: "a number", bool: "true or false"}
NOTHING = ("none", "null", "~")


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


def words(hint: Any) -> list[Any]:
    """Return the values that a type hint has as literals."""
    return [word for kind in alternatives(hint) if typing.get_origin(kind) is Literal for word in typing.get_args(kind)]


def fits(hint: Any, value: Any) -> bool:
    """Return whether a value can be of a type; True if only the parser can tell."""
    return any(_fits(kind, value) for kind in alternatives(hint))


def _fits(kind: Any, value: Any) -> bool:
    """Return whether a value can be of a type that is no union."""
    written = str(value)
    if typing.get_origin(kind) is Literal:
        return written in map(str, typing.get_args(kind))
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
    named = [FORMS[kind] if kind in FORMS else f"one of {', '.join(map(str, typing.get_args(kind)))}" for kind in kinds]
    return " or ".join(named)
