"""Preparation of the arguments before they are parsed: names of recipes and runs, and the config of a run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ltr.cli import words
from ltr.errors import InputError
from ltr.run import lookup
from ltr.run.checkpoint_io import resumable
from ltr.run.folder import RunFolder
from ltr.trust import own_config


class Prepared(NamedTuple):
    """The arguments of a command.

    Attributes:
        arguments: to parse, configs in full.
        name: of the run, unless one of the arguments gives another.
    """

    arguments: list[str]
    name: str


def expand(verb: str, given: list[str]) -> Prepared:
    """Put base.yaml, or the run's own config, before what the command line says, and a path for the name of a run.

    Args:
        verb: fit, validate, test or predict.
        given: what follows it.

    Raises:
        InputError: for a recipe or a checkpoint that does not exist, or a checkpoint without a config.
    """
    configs = [str(lookup.config(name)) for name in words.values(given, *words.CONFIG)]
    name = run_name(configs)
    base = ["--config", "base.yaml"] if verb == "fit" else []
    checkpoints = words.values(given, "ckpt_path")
    if not checkpoints:
        if verb != "fit" and not words.asks(given, "h", "help", "print_config"):
            raise InputError(f"{verb} needs the run to work on: `--ckpt_path checkpoints/<name>/last.ckpt`.")
        return Prepared([*base, *given], name)
    path = _last(given, name) if checkpoints[-1] == "last" else lookup.checkpoint(checkpoints[-1])
    resolved = [*words.without(given, "ckpt_path"), "--ckpt_path", str(path)]
    if verb == "fit" and configs:  # the command that began the run, given again
        return Prepared([*base, *resolved], name)
    return Prepared([*base, "--config", own_config(path, words.values(given, "trust")), *resolved], name)


def run_name(configs: list[str]) -> str:
    """Return the name of a run that was given none: that of its last config that is not data or a recipe."""
    methods = [config for config in configs if Path(config).parent.name not in ("data", "recipes")]
    return Path((methods or configs or ["base"])[-1]).stem


def _last(given: list[str], name: str) -> Path:
    """Return the last checkpoint of the run that the arguments name."""
    runs, names = words.values(given, "runs"), words.values(given, "name")
    return resumable(RunFolder.of((runs or ["checkpoints"])[-1], (names or [name])[-1]))
