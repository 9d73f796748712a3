"""The options of a training as fields of a form, read from the type hints of its parts."""

from __future__ import annotations

import inspect
import pkgutil
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from jsonargparse import Namespace
from lightning.pytorch import Trainer

from ltr import signatures
from ltr.app import catalogue
from ltr.app.field import NONE, Field
from ltr.cli.catalogue import ROOMS
from ltr.cli.command import Command
from ltr.methods import Method
from ltr.process_state import isolated

# The options of the trainer that the form shows, in our words: Lightning's are for programmers.
TRAINER = {
    "max_epochs": "passes over the training images",
    "check_val_every_n_epoch": "epochs between two measurements of the test images; 1 gives smooth curves",
    "accelerator": "where to compute: auto, cpu, gpu or mps",
    "devices": "number of GPUs or CPU processes",
    "precision": "of the arithmetic: 32-true, bf16-mixed or 16-mixed",
    "accumulate_grad_batches": "batches per step of the optimizer",
    "gradient_clip_val": "largest norm of the gradient; empty for no limit",
    "deterministic": "only use algorithms that give the same result each time, which may be slower",
}
SKIPPED = ("counts", "foreach", "differentiable", "fused", "maximize", "capturable")


def resolved(words: Sequence[str]) -> Namespace:
    """Return the whole config of a training. Nothing is instantiated.

    Args:
        words: the arguments of `ltr fit`.

    Raises:
        InputError: if they are not valid.
    """

    class Parsed(Command):
        """Parses only."""

        def before_instantiate_classes(self) -> None:
            pass

        def instantiate_classes(self) -> None:
            pass

    with isolated():
        config: Namespace = Parsed("fit", words, tell=False).config
    return config


def fields(config: Namespace) -> list[Field]:
    """Return the fields of a training: its data, the model part by part, the trainer."""
    hints = typing.get_type_hints(Trainer.__init__)
    return [
        *below_part("data", config.data, "data"),
        part("model", config.model, Method, "method"),
        *below_part("model", config.model, "method"),
        *(field(f"trainer.{name}", config.trainer[name], hints[name], TRAINER[name], "trainer") for name in TRAINER),
    ]


def below_part(option: str, config: Namespace, group: str) -> Iterator[Field]:
    """Return the fields of a part and of the parts within it."""
    values = config.get("init_args")
    hints = parameters(pkgutil.resolve_name(config.class_path))
    for name in values.as_dict() if isinstance(values, Namespace) else ():
        if name in SKIPPED or name not in hints:
            continue
        hint, about = hints[name]
        value, inner = values[name], f"{option}.{name}"
        inner_group = name if group == "method" and base_of(hint) else group
        if (base := base_of(hint)) and not isinstance(value, list):
            yield part(inner, value, base, inner_group, optional=signatures.is_optional(hint), about=about)
            if isinstance(value, Namespace):
                yield from below_part(inner, value, inner_group)
        else:
            yield field(inner, value, hint, about, inner_group)


def blanks(option: str, name: str) -> list[str]:
    """Return arguments that leave the required texts of a class empty, so that the form can ask for them.

    Args:
        option: that the class is chosen for.
        name: of the class.
    """
    kind = catalogue.part(name)
    given = signatures.options(kind).items() if kind else ()
    texts = [text for text, item in given if item.default is inspect.Parameter.empty and item.hint is str]
    return [f"--{option}.{text}=" for text in texts]


def part(
    option: str, value: Namespace | None, base: type[Any], group: str, *, optional: bool = False, about: str = ""
) -> Field:
    """Return the field in which the class of a part is chosen."""
    names = sorted(catalogue.parts(base))
    now = value.class_path.rpartition(".")[2] if value is not None else NONE
    more = [NONE] if optional or value is None else []
    return Field(option, group, now, "part", tuple(dict.fromkeys([*more, *names, now])), about)


def field(option: str, value: Any, hint: Any, about: str, group: str) -> Field:
    """Return the field of an option that is not a part."""
    kinds = [kind for kind in signatures.alternatives(hint) if kind is not type(None)]
    if bool in kinds and (value is None or isinstance(value, bool)):
        return Field(option, group, bool(value), "switch", (), about)
    if len(kinds) == 1 and typing.get_origin(kinds[0]) is Literal:
        names = [NONE] * signatures.is_optional(hint) + [str(name) for name in typing.get_args(kinds[0])]
        return Field(option, group, NONE if value is None else str(value), "choice", tuple(names), about)
    numbers = {int, float} & set(kinds)
    if (isinstance(value, int | float) and numbers) or (value is None and numbers == set(kinds)):
        return Field(option, group, value, "number" if float in numbers else "whole", (), about)
    return Field(option, group, plain(value), "text", (), about, hint)


def parameters(kind: type[Any]) -> dict[str, tuple[Any, str]]:
    """Return type hint and help line of each argument of a class, including those it passes on to its bases."""
    about = signatures.texts(kind)
    return {name: (option.hint, about.get(name, "")) for name, option in signatures.options(kind).items()}


def base_of(hint: Any) -> type[Any] | None:
    """Return the base class of the parts that a type hint accepts, as instance or factory; None for other hints."""
    for kind in signatures.alternatives(hint):
        built = typing.get_args(kind)[-1] if typing.get_args(kind) and callable(kind) else kind
        if inspect.isclass(built) and issubclass(built, tuple(ROOMS)):
            return built
    return None


def plain(value: Any) -> Any:
    """Return nested settings as dictionaries and lists."""
    if isinstance(value, Namespace):
        return {key: plain(inner) for key, inner in value.as_dict().items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
