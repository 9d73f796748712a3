"""What a training can be told, read from the type hints of its parts."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Literal

import docstring_parser
from jsonargparse import Namespace
from lightning.pytorch import Trainer

from ltr.apart import apart
from ltr.app.field import NONE, Field
from ltr.cli import catalogue
from ltr.cli.command import Command
from ltr.methods import Method

# Of the trainer, what belongs to a training and not to this machine.
TRAINER = (
    "max_epochs",
    "check_val_every_n_epoch",
    "accelerator",
    "devices",
    "precision",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "deterministic",
)
SKIPPED = ("counts", "foreach", "differentiable", "fused", "maximize", "capturable")


def resolved(words: Sequence[str]) -> Namespace:
    """Return the whole config of a training that is told something, nothing of it built.

    Args:
        words: what follows `ltr fit`.

    Raises:
        InputError: where they cannot be used.
    """

    class Parsed(Command):
        def before_instantiate_classes(self) -> None:
            pass

        def instantiate_classes(self) -> None:
            pass

    with apart():
        config: Namespace = Parsed("fit", words, tell=False).config
    return config


def fields(config: Namespace) -> list[Field]:
    """Return what a training can be told, in the order in which its parts are written."""
    return [
        *below_part("data", config.data, "data"),
        part("model", config.model, Method, "method"),
        *below_part("model", config.model, "method"),
        *(field(f"trainer.{name}", config.trainer[name], hint, about, "trainer") for name, hint, about in trainer()),
    ]


def below_part(option: str, said: Namespace, group: str) -> Iterator[Field]:
    """Return what a part can be told, and the parts within it."""
    values = said.get("init_args")
    hints = parameters(kind_of(said.class_path))
    for name in values.as_dict() if isinstance(values, Namespace) else ():
        if name in SKIPPED or name not in hints:
            continue
        hint, about = hints[name]
        value, inner = values[name], f"{option}.{name}"
        own = name if group == "method" and base_of(hint) else group
        if (base := base_of(hint)) and not isinstance(value, list):
            yield part(inner, value, base, own, optional=is_optional(hint), about=about)
            if isinstance(value, Namespace):
                yield from below_part(inner, value, own)
        else:
            yield field(inner, value, hint, about, own)


def blanks(option: str, name: str) -> list[str]:
    """Return the words that leave open what a class must be told, so that it can be asked for.

    Args:
        option: where the class stands.
        name: of the class.
    """
    kind = next((parts[name] for parts in map(catalogue.parts, catalogue.ROOMS) if name in parts), None)
    signature = inspect.signature(kind).parameters.values() if kind else ()
    hints = parameters(kind) if kind else {}
    texts = [item.name for item in signature if item.default is item.empty and hints.get(item.name, ("",))[0] is str]
    return [f"--{option}.{text}=" for text in texts]


def part(
    option: str, value: Namespace | None, base: type[Any], group: str, *, optional: bool = False, about: str = ""
) -> Field:
    """Return the choice of a class."""
    names = sorted(name for name, kind in catalogue.parts(base).items() if offered(kind))
    now = value.class_path.rpartition(".")[2] if value is not None else NONE
    more = [NONE] if optional or value is None else []
    return Field(option, group, now, "part", tuple(dict.fromkeys([*more, *names, now])), about)


def field(option: str, value: Any, hint: Any, about: str, group: str) -> Field:
    """Return an option that is no part."""
    kinds = [kind for kind in (typing.get_args(hint) if is_union(hint) else (hint,)) if kind is not type(None)]
    if bool in kinds and (value is None or isinstance(value, bool)):
        return Field(option, group, bool(value), "switch", (), about)
    if len(kinds) == 1 and typing.get_origin(kinds[0]) is Literal:
        names = [NONE] * is_optional(hint) + [str(name) for name in typing.get_args(kinds[0])]
        return Field(option, group, NONE if value is None else str(value), "choice", tuple(names), about)
    numbers = {int, float} & set(kinds)
    if (isinstance(value, int | float) and numbers) or (value is None and numbers == set(kinds)):
        return Field(option, group, value, "number" if float in numbers else "whole", (), about)
    return Field(option, group, plain(value), "text", (), about, hint)


def parameters(kind: type[Any]) -> dict[str, tuple[Any, str]]:
    """Return the type hint and a line on each argument of a class, those that it hands on to its bases too."""
    found: dict[str, tuple[Any, str]] = {}
    about: dict[str, str] = {}
    for base in kind.__mro__:
        if base.__doc__ and base.__module__.startswith(("ltr.", "torch.optim")):
            about = {
                item.arg_name: first(item.description) for item in docstring_parser.parse(base.__doc__).params
            } | about
    for base in kind.__mro__:
        if (made := vars(base).get("__init__")) is None:
            continue
        hints, signature = typing.get_type_hints(made), inspect.signature(made).parameters
        for name in signature:
            if name in hints:
                found.setdefault(name, (hints[name], about.get(name, "")))
        if not any(item.kind is inspect.Parameter.VAR_KEYWORD for item in signature.values()):
            break
    return found


def trainer() -> Iterator[tuple[str, Any, str]]:
    """Return name, type hint and a line on the options of the trainer."""
    about = {item.arg_name: first(item.description) for item in docstring_parser.parse(Trainer.__init__.__doc__).params}
    hints = typing.get_type_hints(Trainer.__init__)
    for name in TRAINER:
        yield name, hints[name], about[name]


def first(text: str | None) -> str:
    """Return the first sentence of a text."""
    return " ".join((text or "").split()).partition(". ")[0].partition("; ")[0].removesuffix(".")


def is_union(hint: Any) -> bool:
    """Tell whether a type hint is one of several."""
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def is_optional(hint: Any) -> bool:
    """Tell whether a type hint has None."""
    return is_union(hint) and type(None) in typing.get_args(hint)


def base_of(hint: Any) -> type[Any] | None:
    """Return the base class of the parts that a type hint takes, themselves or their factory; None for other hints."""
    for kind in typing.get_args(hint) if is_union(hint) else (hint,):
        made = typing.get_args(kind)[-1] if typing.get_args(kind) and callable(kind) else kind
        if inspect.isclass(made) and issubclass(made, tuple(catalogue.ROOMS)):
            return made
    return None


def kind_of(path: str) -> type[Any]:
    """Return a class by its path."""
    module, _, name = path.rpartition(".")
    kind: type[Any] = getattr(import_module(module), name)
    return kind


def offered(kind: type[Any]) -> bool:
    """Tell whether a class is one that a recipe may name."""
    module = kind.__module__
    if inspect.isabstract(kind) or not module.startswith(("ltr.", "torch.optim.")) or module == "ltr.contracts":
        return False
    package = import_module(".".join(module.split(".")[:2]))
    return kind.__name__ in getattr(package, "__all__", vars(package))


def plain(value: Any) -> Any:
    """Return nested settings as dictionaries and lists."""
    if isinstance(value, Namespace):
        return {key: plain(inner) for key, inner in value.as_dict().items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
