"""The arguments of a class, with those that it hands on to its bases: type hints, defaults, texts."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import docstring_parser


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
    """Return the arguments of a class by name."""
    found: dict[str, Option] = {}
    for base in part.__mro__:
        made = vars(base).get("__init__")
        if not inspect.isfunction(made):
            continue
        _, *arguments = inspect.signature(made).parameters.values()
        for item in arguments:
            if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL):
                found.setdefault(item.name, Option(_hint(item.annotation, made), item.default))
        if not any(item.kind is item.VAR_KEYWORD for item in arguments):
            break
    return found


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
    found: dict[str, str] = {}
    for base in part.__mro__:
        docs = [base.__doc__ or "", vars(base).get("__init__", base).__doc__ or ""]
        lines = [item for text in docs for item in docstring_parser.parse(text).params]
        found = {item.arg_name: first_sentence(item.description) for item in lines} | found
    return found


def first_sentence(text: str | None) -> str:
    """Return the first sentence of a text, without its full stop."""
    return " ".join((text or "").split()).partition(". ")[0].partition("; ")[0].removesuffix(".")
