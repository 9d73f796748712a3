"""The parts that the forms of the page offer, found in the packages of `ltr` by their kind."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, get_args

from ltr import backbones, data, losses
from ltr.cli import catalogue
from ltr.contracts import Backbone
from ltr.counts import Tail
from ltr.data import FileDataset, HubLT, LongTailed, Synthetic
from ltr.errors import InputError
from ltr.sentences import did_you_mean

TAILS: tuple[str, ...] = get_args(Tail)  # shapes of the tail


def parts(base: type[Any]) -> dict[str, type[Any]]:
    """Return the classes of a kind by name: those of `ltr`, and torch's optimizers."""
    return {
        name: kind
        for name, kind in catalogue.parts(base).items()
        if kind.__module__.startswith(("ltr.", "torch.optim."))
    }


def part(name: str) -> type[Any] | None:
    """Return the class of that name, of any kind; None if there is none."""
    return next((kinds[name] for kinds in map(parts, catalogue.ROOMS) if name in kinds), None)


def architectures() -> list[str]:
    """Return the backbones that need no arguments, so that a file of weights without a config is enough."""

    def needed(kind: type[Any]) -> bool:
        arguments = inspect.signature(kind).parameters.values()
        return any(
            one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in arguments
        )

    kinds = parts(Backbone)
    return [name for name in backbones.__all__ if name in kinds and not needed(kinds[name])]


def published_data() -> dict[str, type[LongTailed]]:
    """Return the data sets with a fixed size and normalisation, by their titles."""
    return {kind.name: kind for kind in data_classes() if kind.name}


def tuning_data() -> dict[str, type[LongTailed]]:
    """Return the data sets whose images are in a folder or in the package, by the names of their classes."""
    return {kind.__name__: kind for kind in data_classes() if kind not in (LongTailed, FileDataset, HubLT, Synthetic)}


def data_classes() -> list[type[LongTailed]]:
    """Return the public data modules, in the order of `ltr.data`."""
    kinds = [getattr(data, name) for name in data.__all__]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, LongTailed)]


def tuning_losses() -> list[str]:
    """Return the losses that need no embeddings and not several experts, GML first."""
    names = (name for name in losses.__all__ if not {"embeddings", "experts"} & {*getattr(losses, name).needs})
    return sorted(names, key=lambda name: (name != "GML", name.lower()))


def one_of(name: str, names: Iterable[str], kind: str) -> str:
    """Return the name if it is one of these names.

    Args:
        name: as the browser sent it.
        names: those allowed.
        kind: what they are names of, for the error.

    Raises:
        InputError: if it is none of them.
    """
    if name not in (known := list(names)):
        raise InputError(f"unknown {kind} {name}{did_you_mean(str(name), known)}")
    return name
