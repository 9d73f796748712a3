"""What the command line and configs may name: the options of Lightning's verbs, and the parts, kind by kind."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, Literal

import torch.optim
from lightning.pytorch import Callback, Trainer, loggers, profilers
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import Profiler
from torch.optim import Optimizer

from ltr import backbones, callbacks, data, heads, losses, methods, mixes, optimizers, samplers, schedules
from ltr.backbones.adapters import Adapter
from ltr.contracts import Backbone, Head, Loss, Mix, Sampler, Schedule, Transform
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.methods import Method
from ltr.sentences import did_you_mean
from ltr.signatures import Option
from ltr.trust import imported

Verb = Literal["fit", "validate", "test", "predict"]
TOP = {
    "model": Option(Method, None, "the network, its loss, and what happens in a training step"),
    "data": Option(LongTailed, None, "the data set"),
    "trainer": Option(Trainer, None, "Lightning's trainer: epochs, devices, precision, loggers, callbacks"),
    "seed_everything": Option(bool | int, 0, "seed of the training; true draws one"),
    "name": Option(str | None, None, "name of the run; else that of its config"),
    "runs": Option(str, "checkpoints", "folder in which the runs are kept"),
    "overwrite": Option(bool, False, "replace a run of the same name"),
    "evaluation": Option(str | None, None, "folder of a test or prediction, in that of the run"),
    "ckpt_path": Option(str | None, None, "the run to work on: its name, folder or checkpoint; for fit also `last`"),
    "trust": Option(str, None, "a package whose classes the config of a run may name; may be given several times"),
}
WRITTEN = ("name", "runs", "overwrite", "evaluation", "ckpt_path", "trust")  # the options of `ltr` itself

# Those that a verb has no use for. The config of a run has its name in every verb.
USELESS: dict[Verb, tuple[str, ...]] = {
    "fit": ("evaluation",),
    "validate": ("evaluation", "name", "overwrite"),
    "test": ("name", "overwrite"),
    "predict": ("name", "overwrite"),
}

# The base class of a kind of part, and the rooms whose `__all__` lists the parts.
ROOMS: dict[type[Any], tuple[types.ModuleType, ...]] = {
    Backbone: (backbones,),
    Adapter: (backbones,),
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


def parts(base: type[Any]) -> dict[str, type[Any]]:
    """Return the parts below a base class by their names."""
    rooms = next((rooms for kind, rooms in ROOMS.items() if issubclass(base, kind)), ())
    exported = (getattr(room, name) for room in rooms for name in room.__all__)
    return {
        part.__name__: part
        for part in exported
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


def is_open(part: type[Any]) -> bool:
    """Return whether a class may take options that its signature does not name."""
    arguments = inspect.signature(part).parameters.values()
    return not part.__module__.startswith(OURS) and any(item.kind is item.VAR_KEYWORD for item in arguments)


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
        part = imported(name) if module else None
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    if part is None or (isinstance(part, type) and not issubclass(part, base)):
        if short not in known and (kinds := kinds_of(short)):
            raise InputError(f"{place} cannot be {short}, which is of the kind {' or '.join(kinds)}.")
        if part is not None:
            raise InputError(f"{place} cannot be {name}, which does not derive from {base.__module__}.{base.__name__}.")
        if module and not module.startswith(("ltr.", "torch.", "lightning.")):
            raise InputError(
                f"{place}: there is no {short} in {module}{did_you_mean(short, vars(sys.modules[module]))}"
            )
        raise InputError(f"there is no {name} for {place}{did_you_mean(short, known)}")
    return part
