"""A network that starts from a run takes its architecture from there, unless the command line names another."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ltr.backbones import Pretrained, ResNet32
from ltr.cli import catalogue, words
from ltr.cli.check import Check
from ltr.errors import InputError
from ltr.heads import Projection
from ltr.methods import Method
from ltr.run import folder, lookup
from ltr.run.description import class_name, settings
from ltr.trust import own_config

# The backbone that a run may be the start of, and the heads that take its classifier.
STARTS = {"model.backbone": ("model.head", "model.old_head"), "model.teacher": ("model.teacher_head",)}


def inherited(check: Check, resumed: Path | None, packages: list[str]) -> Iterator[str]:
    """Yield the options of `ltr fit` that follow from the runs that its network starts from.

    Args:
        check: what the command line gives.
        resumed: the checkpoint of the training that goes on; the runs it started from may be gone.
        packages: names of the packages whose classes the config of a run may name.

    Raises:
        InputError: if the config of a run is refused.
    """
    for place in STARTS:
        given = check.given
        if (
            check.chosen.get(place) is not Pretrained
            or check.chosen.get("model") is Any
            or given.get(f"{place}.backbone") is not None
        ):
            continue
        if (run := resumed or started_from(given.get(f"{place}.checkpoint"))) is None:
            continue
        model = yaml.safe_load(own_config(run, packages)).get("model") or {}
        options = model.get("init_args") or {}
        if resumed is None:
            backbone, head = network(model)
            found = {f"{place}.backbone": backbone} | dict.fromkeys(taken(check, place), head)
        else:
            own = (options.get(place.removeprefix("model.")) or {}).get("init_args") or {}
            found = {f"{place}.backbone": own.get("backbone")}
            found |= {name: options.get(name.removeprefix("model.")) for name in taken(check, place)}
        for name, part in found.items():
            if part is not None and name not in given:
                yield f"--{name}={words.text(brief(part))}"


def brief(part: Any) -> Any:
    """Return a part of a config without options that are None by default, which jsonargparse would read as text."""
    if not isinstance(part, Mapping) or "class_path" not in part:
        return part
    defaults = inspect.signature(pkgutil.resolve_name(part["class_path"])).parameters
    options = {
        key: brief(value)
        for key, value in settings(part).items()
        if value is not None or key not in defaults or defaults[key].default is not None
    }
    return {**part, "init_args": options}


def started_from(checkpoint: Any) -> Path | None:
    """Return the checkpoint of a run, None if the file is not there or is not of a run."""
    if not isinstance(checkpoint, str):
        return None
    try:
        path = lookup.checkpoint(checkpoint)
        return path if folder.config_text(path) else None
    except InputError:  # which the training says when it reads the file
        return None


def taken(check: Check, place: str) -> list[str]:
    """Return the heads of the method that are filled with the classifier of the run."""
    method = check.chosen.get("model", Method)
    options = catalogue.options(method) if isinstance(method, type) else {}
    heads = [name for name in STARTS[place] if name.removeprefix("model.") in options]
    used = "model.old_head" in heads or check.given.get(f"{place}.freeze") == "all" or place != "model.backbone"
    return heads if used else []


def network(model: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the backbone and the classifier of a run, each with its class and options.

    Args:
        model: its method, likewise, as its config has it.
    """
    kind: type[Method] = pkgutil.resolve_name(model["class_path"])
    backbone, head = kind.network_config(model.get("init_args") or {})
    while class_name(backbone) == Pretrained.__name__:
        backbone = settings(backbone).get("backbone") or f"ltr.backbones.{ResNet32.__name__}"
    while class_name(head) == Projection.__name__:  # which no other training than its own needs
        head = settings(head).get("classifier")
    return backbone, head
