"""Ranges of numbers as type hints, and the one check that constructors make of them."""

from __future__ import annotations

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from ltr.errors import InputError


@dataclass(frozen=True)
class Range:
    """The values that a number may have, as the metadata of a type hint: `Annotated[float, Range(above=0)]`.

    Attributes:
        least: the smallest value.
        above: a bound that all values exceed.
        most: the largest value.
        below: a bound that no value reaches.
    """

    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf

    def __contains__(self, value: float) -> bool:
        return math.isfinite(value) and self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        bounds = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        words = [f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound)]
        return " and ".join(words) or "a finite number"


ANY = Range()

NonNegative = Annotated[float, Range(least=0)]
Positive = Annotated[float, Range(above=0)]
Fraction = Annotated[float, Range(least=0, most=1)]
BelowOne = Annotated[float, Range(least=0, below=1)]
PositiveFraction = Annotated[float, Range(above=0, most=1)]
InnerFraction = Annotated[float, Range(above=0, below=1)]
AtLeastOne = Annotated[float, Range(least=1)]
Count = Annotated[int, Range(least=1)]
WholeNumber = Annotated[int, Range(least=0)]
Byte = Annotated[int, Range(least=0, most=255)]


class Checked:
    """A class whose constructor refuses numbers outside the ranges of its type hints, and NaN and inf everywhere.

    Constructors of subclasses check their own arguments; defaults are not checked.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if (constructor := vars(cls).get("__init__")) is not None:
            setattr(cls, "__init__", _checked(constructor))  # noqa: B010 - mypy knows no assignment of a constructor


def check(name: str, value: Any, hint: Any = float) -> None:
    """Check the numbers in a value: in itself, in its items or in its values.

    Args:
        name: of the value, for the error.
        value: anything; only the numbers in it are checked.
        hint: its type hint. Numbers of which it names no range must be finite.

    Raises:
        InputError: for the first number outside its range.
    """
    for number, values in _numbers(value, hint):
        if number not in values:
            raise InputError(f"{name} must be {values}, not {number:g}.")


def _checked(constructor: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that checks its arguments first."""
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def checking(self: Any, *args: Any, **options: Any) -> None:
        hints = _hints(constructor)
        for name, value in signature.bind(self, *args, **options).arguments.items():
            passed_on = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
            for key, item in value.items() if passed_on else [(name, value)]:
                check(f"`{key}` of {type(self).__name__}", item, hints.get(key, Any))
        constructor(self, *args, **options)

    return checking


@functools.cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the type hints of a function; none where they name what is only imported for type checkers."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError:
        return {}


def _numbers(value: Any, hint: Any) -> Iterator[tuple[float, Range]]:
    """Yield the numbers in a value, each with the range that the hint names for it."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value, next((item for kind in _kinds(hint) for item in _metadata(kind) if isinstance(item, Range)), ANY)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item, _inner(hint, Mapping))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _numbers(item, _inner(hint, Sequence))


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Return the alternatives of a type hint."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _metadata(hint: Any) -> tuple[Any, ...]:
    """Return the metadata of an annotated type hint."""
    return getattr(hint, "__metadata__", ())


def _inner(hint: Any, container: type[Any]) -> Any:
    """Return the type hint of the items of a sequence, or of the values of a mapping."""
    for kind in _kinds(hint):
        origin = typing.get_origin(kind)
        if inspect.isclass(origin) and issubclass(origin, container):
            return [item for item in typing.get_args(kind) if item is not ...][-1]
    return Any
