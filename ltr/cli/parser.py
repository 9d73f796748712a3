"""Errors of the command line in a sentence that names what may have been meant."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LightningArgumentParser
from torch.optim import Optimizer

from ltr.contracts import Backbone, Head, Loss, Mix, Sampler, Schedule, Transform
from ltr.data import LongTailed
from ltr.errors import InputError, did_you_mean
from ltr.methods import Method

BASES = (Backbone, Head, Loss, Mix, Sampler, Schedule, Transform, LongTailed, Method, Callback, Optimizer)
KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}


class Parser(LightningArgumentParser):
    """Lightning's parser, whose errors are `InputError`s."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise an `InputError` with a readable sentence, or leave a part's error to the whole."""
        if not self.exit_on_error:
            super().error(message, ex)
        raise InputError(readable(message, [action.dest for action in self._actions])) from ex


def trust_argument(parser: LightningArgumentParser) -> None:
    """Add the packages whose classes the config of a run may name."""
    about = "Package whose classes the config of the run may name; repeatable."
    parser.add_argument("--trust", action="append", type=str, default=[], help=about)


def readable(message: str, own: Sequence[str] = ()) -> str:
    """Turn an error of jsonargparse into a sentence.

    Args:
        message: what it says, over several lines and with the types it tried.
        own: options of the verb beside those of the parts.
    """
    # Of callbacks jsonargparse tries the base class as well, which says nothing.
    message = re.sub(r" +- Problem with given class_path 'lightning\.Callback':\n(?: {8}.*\n)+", "", message)
    where = ".".join(re.findall(r'Parser key "([^"]+)"', message))
    if found := re.search(
        r"(?:does not accept option|Option) '([^']+)'|[Uu]nrecognized arguments: (?:--)?([^\s=]+)", message
    ):
        option = found[1] or found[2]
        known = sorted({*options(), *own})
        unknown = next((part for part in option.split(".") if part not in known), option)
        kind = re.search(r"given class_path '(?:[^']+\.)?([^']+)'", message)
        if kind and unknown in known:
            return f"{kind[1]} has no option {option}: say which class does before it (`--{where} CLASS`)."
        place = f" of {where}" if where else ""
        return f"there is no option {option}{place}{did_you_mean(unknown, known)}"
    given = re.search(r"Got value: (.+)|val='([^']*)'|Given value: (.+)", message)
    value = next((part for part in given.groups() if part), "") if given else ""
    missing = re.search(r"dot import path string: (\S+)", message)
    if not missing and "Got value" not in message:
        missing = re.search(r"given class_path '([^']+)'", message)
    if missing:
        name, known = missing[1].rpartition(".")[2], sorted(set(parts()))
        if name in known:
            return f"{where} cannot be {name}, which is of the kind {' or '.join(kinds_of(name))}."
        return f"there is no {missing[1]} for {where}{did_you_mean(name, known)}"
    if found := re.search(r"Literal\[([^\]]+)\]", message):
        return f"{where} is one of {found[1].replace(chr(39), '')}; it cannot be {value}."
    tried = message.partition("Given value type")[0]
    kinds = [KINDS[kind] for kind in re.findall(r"Expected a <class '(\w+)'>", tried) if kind in KINDS]
    if kinds and given:
        return f"{where} is {' or '.join(dict.fromkeys(kinds))}; it cannot be {value}."
    if found := re.search(r"NestedArg\(key='([^']+)'", message):
        return f"{where} names no class that has an option {found[1]}: say it before (`--{where} CLASS`)."
    return " ".join(message.split())


def cause(error: BaseException | None) -> InputError | None:
    """Return what a constructor of ours or of Lightning said of its arguments, behind an error of jsonargparse."""
    while error is not None and not isinstance(error, (InputError, MisconfigurationException)):
        error = error.__cause__ or error.__context__
    return InputError(" ".join(str(error).split())) if isinstance(error, MisconfigurationException) else error


@contextmanager
def causes() -> Iterator[None]:
    """Raise what a constructor said of its arguments in place of the error of jsonargparse around it."""
    try:
        yield
    except ValueError as error:
        if (known := cause(error)) is None:
            raise
        raise known from error


def below(base: type[Any]) -> Iterator[type[Any]]:
    """Yield the classes that derive from a base."""
    for kind in base.__subclasses__():
        yield kind
        yield from below(kind)


def named(base: type[Any]) -> Iterator[str]:
    """Yield the names of the classes of a kind that a config may name."""
    yield from (kind.__name__ for kind in (base, *below(base)) if not inspect.isabstract(kind))


def parts() -> Iterator[str]:
    """Yield the names of all classes that a config may name."""
    for base in BASES:
        yield from named(base)


def kinds_of(name: str) -> list[str]:
    """Return what the classes of a name are."""
    return [base.__name__ for base in BASES if name in named(base)]


def options() -> Iterator[str]:
    """Yield the names of all arguments that a config may give."""
    yield from ("model", "data", "trainer", "class_path", "init_args", "name", "runs", "overwrite", "evaluation")
    for kind in (Trainer, *BASES, *(kind for base in BASES for kind in below(base))):
        if kind is Trainer or kind.__module__.startswith(("ltr.", "torch.optim")):
            yield from (name for name in inspect.signature(kind).parameters)
