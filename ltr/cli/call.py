"""Verbs that are functions: their type hints are the options, their docstring is the help.

An argument that is positional-only in Python has no name on the command line either, a list takes several words and
may be given several times, and a bool that is False by default is a flag without a value.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Container, Sequence
from typing import Any

import docstring_parser
from jsonargparse import ArgumentError, ArgumentParser

from ltr.cli import hints, words
from ltr.errors import InputError, did_you_mean

Verb = Callable[..., None]


def call(function: Verb, arguments: Sequence[str], **given: Any) -> None:
    """Call a function with the arguments of the command line.

    Args:
        function: named as its verb. One with an argument `common` gets there the options that are not its own.
        arguments: what follows the verb.
        **given: arguments of the function that are no options.

    Raises:
        InputError: if the arguments cannot be used.
    """
    signature, kinds = inspect.signature(function).parameters, typing.get_type_hints(function)
    own = [name for name in signature if name not in given and name != "common"]
    mine = list(arguments)
    if "common" in signature:
        mine, given["common"] = divided(mine, own)
    for *_, name, value in words.options(mine):
        if name not in (*own, "h", "help"):
            raise InputError(f"there is no option --{name}{did_you_mean(name, own)}")
        if value is not None and not hints.fits(kinds.get(name, Any), value):
            raise InputError(f"--{name} is {hints.form(kinds[name])}; it cannot be {value}.")
    made = parser(function, {*given, "common"})
    try:
        values = made.parse_args(mine).as_dict()
    except ArgumentError as error:
        raise InputError(" ".join(str(error).split())) from error
    hand_over(function, values, given)


def hand_over(function: Verb, values: dict[str, Any], given: dict[str, Any]) -> None:
    """Call a function with the values of its options, and with what it is given besides."""
    signature = inspect.signature(function).parameters
    everything = {**values, **given}
    first = [everything.pop(name) for name, item in signature.items() if item.kind is item.POSITIONAL_ONLY]
    function(*first, **everything)


def parser(function: Verb, given: Container[str]) -> ArgumentParser:
    """Return the parser of the options of a function.

    Args:
        function: a verb.
        given: its arguments that are no options.
    """
    kinds, signature = typing.get_type_hints(function), inspect.signature(function).parameters
    about = docstring_parser.parse(function.__doc__ or "")
    texts = {item.arg_name: item.description for item in about.params}
    made = ArgumentParser(
        prog=f"ltr {function.__name__.replace('_', '-')}",
        description="\n".join(filter(None, (about.short_description, about.long_description))),
        exit_on_error=False,
    )
    special: set[str | int] = {name for name in signature if name in given}
    for name, item in signature.items():
        several = [kind for kind in hints.alternatives(kinds[name]) if typing.get_origin(kind) is list]
        if name in special:
            continue
        if item.kind is item.POSITIONAL_ONLY:
            how = {"type": typing.get_args(several[0])[0], "nargs": "+"} if several else {"type": kinds[name]}
            made.add_argument(name, help=texts.get(name), **how)
        elif several:
            kind = typing.get_args(several[0])[0]
            missing = item.default is item.empty
            how = {"action": "extend", "nargs": "+", "type": kind, "required": missing}
            how["default"] = [] if missing else item.default
            made.add_argument(f"--{name}", help=texts.get(name), **how)
        elif kinds[name] is bool and item.default is False:
            made.add_argument(f"--{name}", help=texts.get(name), action="store_true")
        else:
            continue
        special.add(name)
    made.add_function_arguments(function, as_group=False, skip=special)
    return made


def divided(arguments: list[str], own: Container[str]) -> tuple[list[str], list[str]]:
    """Return the words of some options, with what comes before the first, and the words of all others."""
    parts: tuple[list[str], list[str]] = ([], [])
    mine = True
    for word in arguments:
        if match := words.OPTION.fullmatch(word):
            mine = match[1] in own or match[1] in ("h", "help")
        parts[not mine].append(word)
    return parts
