"""One option of a training, and what may be typed for it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from ltr import trust
from ltr.errors import InputError

Kind = Literal["switch", "number", "whole", "choice", "part", "text"]
NONE = "none"


@dataclass(frozen=True)
class Field:
    """An option of the command line.

    Attributes:
        option: its name, as `model.loss.gamma`.
        group: what it belongs to: `data`, `trainer`, or a part of the model.
        value: what holds where nothing is said; a part by the name of its class.
        kind: how it is asked for.
        choices: what it can be; empty where that is no list.
        about: one line on it.
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
        """What stands beside it: its way within its group."""
        within = self.option.removeprefix("model.").removeprefix(f"{self.group}.")
        return within.replace("_", " ").replace(".", " / ")

    def word(self, value: Any) -> str | None:
        """Return a value as the command line takes it, None where it is the one that holds anyway.

        Raises:
            InputError: where it cannot be one.
        """
        if self.kind in ("choice", "part"):
            if value not in self.choices:
                raise InputError(f"{self.option} cannot be {value}: it is one of {', '.join(self.choices)}.")
            return None if value == self.value else ("null" if value == NONE else str(value))
        if value is None or value == "":
            return None if self.value in (None, "") else "null"
        if self.kind == "switch":
            return None if bool(value) == bool(self.value) else json.dumps(bool(value))
        if self.kind == "text":
            text = str(value).strip()
            if text == shown(self.value):
                return None
            trust.value(loaded(self.option, text), self.hint, self.option)
            return text
        try:
            number = float(value)
            whole = self.kind == "whole" or (number.is_integer() and isinstance(self.value, int))
            if not math.isfinite(number) or (self.kind == "whole" and not number.is_integer()):
                raise ValueError
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{self.option} is a number; it cannot be {value}.") from error
        return None if number == self.value else json.dumps(int(number) if whole else number)


def shown(value: Any) -> str:
    """Return a value as it stands in a text field."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def loaded(option: str, text: str) -> Any:
    """Return what a text means to the command line.

    Raises:
        InputError: where it means nothing.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{option} cannot be {text[:80]!r}: it is no value that YAML knows.") from error
