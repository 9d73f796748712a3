"""The configs that a command starts from: base.yaml or that of its run, and the network of the run it builds on."""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ltr.backbones import Pretrained, ResNet32
from ltr.cli import arguments
from ltr.cli.arguments import CONFIG, HELP
from ltr.cli.catalogue import USELESS, Verb
from ltr.cli.check import Check
from ltr.errors import InputError
from ltr.heads import Projection
from ltr.methods import Method
from ltr.run import lookup
from ltr.run.checkpoint_config import config_text
from ltr.run.checkpoint_io import resumable
from ltr.run.description import class_name, load, replaced_callbacks, settings
from ltr.run.folder import RunFolder
from ltr.signatures import options as arguments_of
from ltr.trust import own_config

# The backbone that may start from a run, and the heads of the method that take the classifier of that run.
STARTS = {"model.backbone": ("model.head", "model.old_head"), "model.teacher": ("model.teacher_head",)}
# The options of the data that belong to a training and not to the set.
OF_A_TRAINING = ("sampler", "augment", "batch_size", "eval_batch_size", "drop_last", "workers")


def complete(verb: Verb, given: Sequence[str], check: Check) -> list[str]:
    """Return the checked words of a command, after base.yaml or the config of its run, and before what follows from it.

    Args:
        verb: fit, validate, test or predict.
        given: the words that follow it.
        check: knows the options of the verb.

    Raises:
        InputError: for an option, a class, a recipe or a checkpoint that does not exist.
    """
    if stray := [argument.words[0] for argument in arguments.split(given) if not argument.name]:
        advice = {
            "fit": "name a recipe with `--config`, images with `--data.root`",
            "predict": "name new images with `--images`",
        }.get(verb, "name the run with `--ckpt_path`")
        raise InputError(f"{stray[0]} belongs to no option: {advice}.")
    refuse_useless(verb, given)
    begun = check.arguments(["--config", "base.yaml"] if verb == "fit" else [])
    check.given.clear()  # base.yaml is what holds where nothing is given
    check.named.clear()
    trust = arguments.values(given, "trust")
    checkpoint, words = None, list(given)
    if named := arguments.values(given, "ckpt_path"):
        checkpoint = last(given) if (verb, named[-1]) == ("fit", "last") else lookup.checkpoint(named[-1])
        words = [*arguments.without(given, "ckpt_path"), "--ckpt_path", str(checkpoint)]
        if verb != "fit" or not arguments.values(given, *CONFIG):  # else it is the command that began the run
            words = ["--config", own_config(checkpoint, trust), *words]
    elif verb != "fit" and not asks_for_help(given):
        raise InputError(f"{verb} needs the run to work on: `--ckpt_path checkpoints/<name>/last.ckpt`.")
    checked = check.arguments(words)
    note_replaced_callbacks(given)
    return [*begun, *checked, *(inherited(check, checkpoint, trust) if verb == "fit" else ())]


def refuse_useless(verb: Verb, given: Sequence[str]) -> None:
    """Raise `InputError` for an option that other verbs have, and this one would ignore."""
    if useless := [argument.name for argument in arguments.split(given) if argument.name in USELESS[verb]]:
        raise InputError(f"--{useless[0]} changes nothing here: leave it out.")


def note_replaced_callbacks(given: Sequence[str]) -> None:
    """Warn if the callbacks of one config are replaced by those of a later one, as lists in configs are."""
    contents = {config: arguments.content(config) for config in arguments.values(given, *CONFIG)}
    for config, names, lost in replaced_callbacks(contents):
        warnings.warn(
            f"the callbacks of {config} replace {lost}: to have both, pass "
            f"`{' '.join(f'--trainer.callbacks+={name}' for name in names)}` instead of `--config {config}`.",
            stacklevel=2,
        )


def asks_for_help(words: Sequence[str]) -> bool:
    """Return whether words ask for the help of a verb or of a part, or for the resolved config."""
    names = [argument.name for argument in arguments.split(words)]
    return any(name in (*HELP, "print_config") or name.endswith(".help") for name in names)


def run_name(words: Sequence[str]) -> str:
    """Return the name of a run that is given none: that of its last config that is not data or a recipe."""
    configs = [lookup.config(name) for name in arguments.values(words, *CONFIG)]
    methods = [config for config in configs if config.parent.name not in ("data", "recipes")]
    return (methods or configs or [Path("base")])[-1].stem


def last(words: Sequence[str]) -> Path:
    """Return the last checkpoint of the run that words name."""
    runs, names = arguments.values(words, "runs"), arguments.values(words, "name")
    return resumable(RunFolder.of((runs or ["checkpoints"])[-1], (names or [run_name(words)])[-1]))


def inherited(check: Check, resumed: Path | None, trust: Sequence[str]) -> Iterator[str]:
    """Yield the options of `ltr fit` that follow from the runs that its network starts from.

    A network that starts from a run takes its architecture, its classifier and its data set from there, unless the
    command line names others.

    Args:
        check: what the command line gives.
        resumed: the checkpoint of the training that goes on; the runs it started from may be gone.
        trust: names of the packages whose classes the config of a run may name.

    Raises:
        InputError: if the config of a run is refused.
    """
    method = check.chosen.get("model", Method)
    for place, heads in STARTS.items():
        given = check.given
        run = resumed or started_from(given.get(f"{place}.checkpoint"))
        if check.chosen.get(place) is not Pretrained or run is None or method is Any:
            continue
        config = load(own_config(run, trust))
        if place == "model.backbone" and "data" not in check.named:
            yield from data_set(check, config.get("data"))
        if given.get(f"{place}.backbone") is not None:
            continue
        model = config.get("model") or {}
        options = settings(model)
        heads = tuple(head for head in heads if head.removeprefix("model.") in arguments_of(method))
        if place == "model.backbone" and "model.old_head" not in heads and given.get(f"{place}.freeze") != "all":
            heads = ()  # a classifier that starts anew
        if resumed:
            pretrained = settings(options.get(place.removeprefix("model.")))
            parts = {head: options.get(head.removeprefix("model.")) for head in heads}
            parts[f"{place}.backbone"] = pretrained.get("backbone")
        else:
            backbone, head = network(model)
            parts = {f"{place}.backbone": backbone, **dict.fromkeys(heads, head)}
        for name, part in parts.items():
            if part is not None and name not in given:
                yield f"--{name}={arguments.text(brief(part))}"


def brief(part: Any) -> Any:
    """Return a part of a config without options that are None by default, which jsonargparse would read as text."""
    if not isinstance(part, Mapping) or "class_path" not in part:
        return part
    known = arguments_of(pkgutil.resolve_name(part["class_path"]))
    options = {
        name: brief(value)
        for name, value in settings(part).items()
        if value is not None or name not in known or known[name].default is not None
    }
    return {**part, "init_args": options}


def data_set(check: Check, data: Any) -> Iterator[str]:
    """Yield the options of the data set of a run that are not given; none if its config names no data set."""
    if not isinstance(data, Mapping) or "class_path" not in data:
        return
    yield f"--data={data['class_path']}"
    for name, value in settings(brief(data)).items():
        if name not in OF_A_TRAINING and f"data.{name}" not in check.given:
            yield f"--data.{name}={arguments.text(value)}"


def started_from(checkpoint: Any) -> Path | None:
    """Return the checkpoint of a run; None if the file is missing or is not of a run."""
    if not isinstance(checkpoint, str):
        return None
    try:
        path = lookup.checkpoint(checkpoint)
        return path if config_text(path) else None
    except InputError:  # the training raises it when it reads the file
        return None


def network(model: dict[str, Any]) -> tuple[Any, Any]:
    """Return the backbone and the classifier of a run as configs, from the config of its method."""
    kind: type[Method] = pkgutil.resolve_name(model["class_path"])
    backbone, head = kind.network_config(settings(model))
    while class_name(backbone) == Pretrained.__name__:
        backbone = settings(backbone).get("backbone") or f"ltr.backbones.{ResNet32.__name__}"
    while class_name(head) == Projection.__name__:  # no other training than its own needs it
        head = settings(head).get("classifier")
    return backbone, head
