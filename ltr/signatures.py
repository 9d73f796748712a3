"""The arguments of a class, with those that it hands on to its bases, and what values their type hints allow."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import docstring_parser

FORMS = {int: "a whole number", float: "a number", bool: "true or false"}
NOTHING = ("none", "null", "~")


@dataclass(frozen=True)
class Option:
    """An argument.

    Attributes:
        hint: its type hint; `Any` if it has none, or one that names what is not installed.
        default: its default; `inspect.Parameter.empty` if it has none.
        about: what it is, in a few words; empty if only its docstring says it.
    """

    hint: Any
    default: Any = None
    about: str = ""


def options(part: type[Any]) -> Mapping[str, Option]:
    """Return the arguments of a class by name, except for those of its bases that it sets itself."""
    arguments: dict[str, Option] = {}
    fixed = getattr(part, "fixed_options", ())
    for base in part.__mro__:
        init = vars(base).get("__init__")
        if not inspect.isfunction(init):
            continue
        own, hands_on = _arguments(init)
        arguments |= {name: option for name, option in own.items() if name not in (*arguments, *fixed)}
        if not hands_on:
            break
    return arguments


@cache
def _arguments(init: types.FunctionType) -> tuple[Mapping[str, Option], bool]:
    """Return the arguments of a constructor by name, and whether it hands further ones on to a base class."""
    _, *parameters = inspect.signature(init).parameters.values()
    named = [item for item in parameters if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)]
    options = {item.name: Option(_hint(item.annotation, init), item.default) for item in named}
    return options, any(item.kind is item.VAR_KEYWORD for item in parameters)


def _hint(annotation: Any, function: Callable[..., Any]) -> Any:
    """Return a type hint, which may be text, of an argument of a function."""
    if annotation is inspect.Parameter.empty:
        return Any
    only = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(only, inspect.unwrap(function).__globals__)["it"]
    except (NameError, AttributeError, TypeError):
        return Any


def texts(part: type[Any]) -> dict[str, str]:
    """Return the first sentence that the docstrings of a class and its bases have on each argument."""
    sentences: dict[str, str] = {}
    for base in part.__mro__:
        docs = [base.__doc__ or "", vars(base).get("__init__", base).__doc__ or ""]
        lines = [item for text in docs for item in docstring_parser.parse(text).params]
        sentences = {item.arg_name: first_sentence(item.description) for item in lines} | sentences
    return sentences


def first_sentence(text: str | None) -> str:
    """Return the first sentence of a text, without its full stop."""
    return " ".join((text or "").split()).partition(". ")[0].partition("; ")[0].removesuffix(".")


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
