"""An option of the command line as a field of a form."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from ltr import trust
from ltr.errors import InputError

Kind = Literal["switch", "number", "whole", "choice", "part", "text"]
NONE = "none"
# Labels of options whose names are not clear outside of the code.
LABELS = {"data.root": "Folder of the images"}


@dataclass(frozen=True)
class Field:
    """An option of the command line, as a field of the form.

    Attributes:
        option: its name, such as `model.loss.gamma`.
        group: `data`, `trainer`, or a part of the model.
        value: its default; for a part, the name of its class.
        kind: which widget it gets.
        choices: the allowed values of a choice or a part, else empty.
        about: one line of help.
        hint: its type hint.
    """

    option: str
    group: str
    value: Any
    kind: Kind
    choices: tuple[str, ...] = ()
    about: str = ""
    hint: Any = str

    @property
    def label(self) -> str:
        """Its label: its name within its group."""
        if self.option in LABELS:
            return LABELS[self.option]
        within = self.option.removeprefix("model.").removeprefix(f"{self.group}.")
        label = within.replace("_", " ").replace(".", " / ")
        return label[:1].upper() + label[1:]

    @property
    def text(self) -> str:
        """Its default as the content of a text field."""
        return "" if self.value is None else self.value if isinstance(self.value, str) else json.dumps(self.value)

    def word(self, value: Any, packages: Collection[str] = ()) -> str | None:
        """Return a value as an argument of the command line; None if it is the default.

        Args:
            value: of the widget.
            packages: names of packages whose classes it may name, besides `ltr`.

        Raises:
            InputError: if the option cannot have this value.
        """
        if self.kind in ("choice", "part"):
            if value not in self.choices:
                raise InputError(f"{self.option} cannot be {value}; the choices are {', '.join(self.choices)}.")
            return None if value == self.value else ("null" if value == NONE else str(value))
        if value is None or value == "":
            return None if self.value in (None, "") else "null"
        if self.kind == "switch":
            return None if bool(value) == bool(self.value) else json.dumps(bool(value))
        if self.kind == "text":
            text = str(value).strip()
            if text == self.text:
                return None
            trust.value(loaded(self.option, text), self.hint, self.option, packages)
            return text
        try:
            number = float(value)
            whole = self.kind == "whole" or (number.is_integer() and isinstance(self.value, int))
            if not math.isfinite(number) or (self.kind == "whole" and not number.is_integer()):
                raise ValueError
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{self.option} must be a number, not {value}.") from error
        return None if number == self.value else json.dumps(int(number) if whole else number)


def loaded(option: str, text: str) -> Any:
    """Return the content of a text field as YAML reads it.

    Raises:
        InputError: if it is not valid YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{option} cannot be {text[:80]!r}: it is not valid YAML.") from error


def number(what: str, value: object, low: float, high: float, *, whole: bool = True) -> str:
    """Return a number as an argument of the command line.

    Args:
        what: it is, for the error.
        value: the number, or a text.
        low: smallest allowed value; for a number that is not whole, it must be larger.
        high: largest allowed value.
        whole: whether it must be a whole number.

    Raises:
        InputError: if it is not a number, or out of range.
    """
    kind = "a whole number from" if whole else "a number above"
    try:
        given = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        given = math.nan
    if not (low <= given <= high and (given == int(given) if whole else given > low)):
        raise InputError(f"{what} must be {kind} {low:g} and up to {high:,.10g}, not {value!r:.40}.")
    return f"{int(given)}" if whole else f"{given:.10g}"


def seed(value: object) -> str:
    """Return a seed as an argument of the command line.

    Raises:
        InputError: if it is not one.
    """
    return number("the seed", value, 0, 2**32 - 1)
