"""The values of a study file, checked as they are read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ltr.errors import InputError
from ltr.run import description
from ltr.sentences import did_you_mean

NAME = re.compile(r"\w[\w+.-]{0,199}")  # of a row, which is also that of a folder
UNNAMED = re.compile(r"[^\w+.-]+")
WORD = re.compile(r"\w+")
PLACEHOLDER = re.compile(r"{([\w+.-]+)}")  # in arguments, for the checkpoint of another row
# Options of `ltr fit` and `ltr test` that a study gives every run itself.
OWN = ("--name", "--runs", "--ckpt_path", "--overwrite", "--evaluation")
SEED = "--seed_everything"
SEEDS = 2**32  # the first whole number that is not a seed


def load(path: Path) -> tuple[Any, str]:
    """Return the content of a YAML file and its text.

    Raises:
        InputError: if it is not UTF-8 or not YAML, or a key occurs twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content, repeated = description.load(text), next(description.repeated_keys(text), None)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8: save it as UTF-8.") from error
    except (yaml.YAMLError, TypeError, RecursionError) as error:  # TypeError: a list as a key
        raise InputError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}.") from error
    if repeated is not None:
        raise InputError(f"{path} cannot be read as YAML: the key {repeated} occurs twice.")
    return content, text


def text(where: str, value: Any) -> str:
    """Return a text; a number is one, too."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"{where} is a text; it cannot be {value}.")
    return str(value)


def words(where: str, value: Any) -> tuple[str, ...]:
    """Return arguments: a text that is split as a shell does, or a list of texts and numbers."""
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(text(where, word) for word in value)
    if not isinstance(value, str):
        raise InputError(f"{where} holds arguments, as a text or a list; it cannot be {value}.")
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise InputError(f"{where} has a quotation mark that is not closed: {value}") from error


def check_own(where: str, given: Iterable[str], *, seeded: bool) -> None:
    """Raise `InputError` for arguments of a run that the study gives it itself.

    Args:
        where: they stand, for the error.
        given: the arguments.
        seeded: whether the seed is one of `seeds`.
    """
    options = {word.partition("=")[0] for word in given}
    if own := [option for option in OWN if option in options]:
        raise InputError(f"{where} has {own[0]}, which a study gives every run itself: leave it out.")
    if seeded and SEED in options:
        raise InputError(f"{where} has {SEED}, and the study gives the seed: write it under `seeds`.")


def seeds(where: str, value: Any) -> tuple[int | None, ...]:
    """Return a list of seeds; the seed of the arguments (None) where nothing is given."""
    if value is None:
        return (None,)
    whole = isinstance(value, list) and all(type(seed) is int and 0 <= seed < SEEDS for seed in value)
    if not whole or not value or len(set(value)) < len(value):
        raise InputError(f"{where} is a list of whole numbers from 0, each once, such as [0, 1, 2].")
    return tuple(value)


def axis(where: str, value: Any) -> dict[str | None, tuple[str, ...]]:
    """Return arguments by name; {None: none} where nothing is given."""
    if value is None:
        return {None: ()}
    if not isinstance(value, Mapping) or not value or not all(WORD.fullmatch(str(name)) for name in value):
        raise InputError(f"{where} is a mapping of names of letters, digits and `_` to arguments.")
    return {str(name): words(f"{where}, {name}", arguments) for name, arguments in value.items()}


def swept(where: str, name: str, settings: Any) -> dict[str, Any]:
    """Return a row by its name; one with `sweep:` as several, one for each value of its option."""
    if not isinstance(settings, Mapping) or "sweep" not in settings:
        return {name: settings}
    sweep = settings["sweep"]
    values = next(iter(sweep.values())) if isinstance(sweep, Mapping) and len(sweep) == 1 else None
    if not isinstance(values, list) or not values or any(isinstance(value, list | dict) for value in values):
        raise InputError(f"{where}: `sweep` is one option with a list of values, as in `{{data.imbalance: [10, 50]}}`.")
    (option,) = map(str, sweep)
    verb = "fit" if "fit" in settings else "test"
    others = {key: value for key, value in settings.items() if key != "sweep"}
    expanded: dict[str, Any] = {}
    for value in values:
        word = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        title = f"{settings.get('title', name)}, {option.rpartition('.')[2]} {word}"
        arguments = [*words(f"{where}: `{verb}`", settings.get(verb)), f"--{option}", word]
        expanded[f"{name}_{UNNAMED.sub('-', word)}"] = {**others, "title": title, verb: arguments}
    return expanded


def rows(where: str, names: Any, known: Collection[str]) -> list[str]:
    """Return names of rows, if there are such rows."""
    if not isinstance(names, list):
        raise InputError(f"{where} is a list of names of runs; it cannot be {names}.")
    unknown = [str(name) for name in names if str(name) not in known]
    if unknown:
        raise InputError(f"{where} names {unknown[0]}{did_you_mean(unknown[0], known)}")
    return list(map(str, names))


def reported(where: str, value: Any) -> float | None:
    """Return a published top-1."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise InputError(f"{where} is top-1 in percent, a number from 0 to 100.")
    return value


def flag(where: str, value: Any) -> bool:
    """Return a truth value."""
    if not isinstance(value, bool):
        raise InputError(f"{where} is true or false; it cannot be {value}.")
    return value
