"""The parts that a config may name, kind by kind, and the options of each."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import docstring_parser
import torch.optim
from lightning.pytorch import Callback, Trainer, loggers, profilers
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import Profiler
from torch.optim import Optimizer

from ltr import backbones, callbacks, data, heads, losses, methods, mixes, optimizers, samplers, schedules
from ltr.contracts import Backbone, Head, Loss, Mix, Sampler, Schedule, Transform
from ltr.data import LongTailed
from ltr.errors import InputError, did_you_mean
from ltr.methods import Method

# The base class of a kind of part, and the rooms whose `__all__` lists the parts.
ROOMS: dict[type[Any], tuple[types.ModuleType, ...]] = {
    Backbone: (backbones,),
    Head: (heads,),
    Loss: (losses,),
    Mix: (mixes,),
    Sampler: (samplers,),
    Schedule: (schedules,),
    Transform: (data,),
    LongTailed: (data,),
    Method: (methods,),
    Callback: (callbacks, lightning_callbacks),
    Optimizer: (optimizers, torch.optim),
    Logger: (loggers,),
    Profiler: (profilers,),
}
OURS = ("ltr.", "torch.optim")  # what passes no option on to anything but a base class


@dataclass(frozen=True)
class Option:
    """An argument of a part.

    Attributes:
        hint: its type hint; `Any` where it has none.
        default: its default; `inspect.Parameter.empty` where it has none.
        about: what it is, in a few words; empty if only its docstring says it.
    """

    hint: Any
    default: Any
    about: str = ""


def parts(base: type[Any]) -> dict[str, type[Any]]:
    """Return the parts below a base class by their names."""
    rooms = next((rooms for kind, rooms in ROOMS.items() if issubclass(base, kind)), ())
    found = (getattr(room, name) for room in rooms for name in room.__all__)
    return {
        part.__name__: part
        for part in found
        if isinstance(part, type) and issubclass(part, base) and not inspect.isabstract(part)
    }


def kinds_of(name: str) -> list[str]:
    """Return the kinds that have a part of this name."""
    return [kind.__name__ for kind in ROOMS if name in parts(kind)]


def base_of(hint: Any) -> type[Any] | None:
    """Return the base class of the parts that a type hint takes: them, a list or a factory of them; else None."""
    if inspect.isclass(hint):
        return hint if issubclass(hint, tuple(ROOMS)) else None
    inner, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin is dict or not inner:
        return None
    if origin is Callable:
        return base_of(inner[-1])
    return next((base for each in inner if (base := base_of(each))), None)


def options(part: type[Any]) -> dict[str, Option]:
    """Return the options of a class, with those that it passes on to its bases, except for those that it fixes."""
    found: dict[str, Option] = {}
    fixed = getattr(part, "fixed_options", ())
    for base in part.__mro__:
        if (made := vars(base).get("__init__")) is None:
            continue
        hints, signature = _hints(made), [*inspect.signature(made).parameters.values()][1:]
        for item in signature:
            if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL) and item.name not in fixed:
                found.setdefault(item.name, Option(hints.get(item.name, Any), item.default))
        if not any(item.kind is item.VAR_KEYWORD for item in signature):
            break
    return found


def texts(part: type[Any]) -> dict[str, str]:
    """Return the first sentence that the docstrings of a class and its bases have on each option."""
    found: dict[str, str] = {}
    for base in part.__mro__:
        if base.__module__.startswith((*OURS, Trainer.__module__)):
            docs = [base.__doc__ or "", vars(base).get("__init__", base).__doc__ or ""]
            lines = [item for text in docs for item in docstring_parser.parse(text).params]
            found = {item.arg_name: first(item.description) for item in lines} | found
    return found


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the type hints of a function; none where they name what is only imported for type checkers."""
    try:
        return typing.get_type_hints(function)
    except NameError:
        return {}


def is_open(part: type[Any]) -> bool:
    """Return whether a class may take options that its signature does not name."""
    made = inspect.signature(part).parameters.values()
    return not part.__module__.startswith(OURS) and any(item.kind is item.VAR_KEYWORD for item in made)


def first(text: str | None) -> str:
    """Return the first sentence of a text."""
    return " ".join((text or "").split()).partition(". ")[0].partition("; ")[0].removesuffix(".")


def find(place: str, base: type[Any], name: str) -> Any:
    """Return the part of this name or dotted path.

    Args:
        place: the option that names it, for the error.
        base: what it has to derive from.
        name: the name of one of our parts, or `package.module.Class`.

    Raises:
        InputError: if there is none, it cannot be imported, or it is of another kind.
    """
    known, short = parts(base), name.rpartition(".")[2]
    if name in known:
        return known[name]
    module = name.rpartition(".")[0]
    try:
        found = getattr(importlib.import_module(module), short, None) if module else None
    except ImportError as error:
        raise InputError(f"{place}: {name} cannot be imported: {error}.") from error
    if found is None or (isinstance(found, type) and not issubclass(found, base)):
        if short not in known and (kinds := kinds_of(short)):
            raise InputError(f"{place} cannot be {short}, which is of the kind {' or '.join(kinds)}.")
        raise InputError(f"there is no {name} for {place}{did_you_mean(short, known)}")
    return found
