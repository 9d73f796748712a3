"""A data module from the command line, for the verbs that need nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from ltr.cli.arguments import CONFIG, option
from ltr.cli.parser import Parser, causes
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.run import lookup

# What a set is that is named by its path alone: a folder, or a file by its ending.
KINDS = {"folder": "FolderLT", ".csv": "TableLT", ".tsv": "TableLT", ".parquet": "TableLT"}


def named(arguments: Sequence[str]) -> list[str]:
    """Put the data module for a path that comes first.

    Args:
        arguments: what follows the verb.

    Raises:
        InputError: where there is no such path, or nothing that reads it.
    """
    if not arguments or arguments[0].startswith("-"):
        return list(arguments)
    path = Path(arguments[0])
    kind = "folder" if path.is_dir() else path.suffix.lower()
    if kind not in KINDS or not path.exists():
        raise InputError(
            f"{path} is not there, or no {' or '.join(KINDS)} of images: mend the path, or name another set, such as "
            "`--data CIFAR100LT` or `--config data/digits.yaml`."
        )
    return ["--data", KINDS[kind], "--data.root", *arguments]


def dataset_parser(verb: str, description: str) -> Parser:
    """Return a parser for a data module, from `--data` and its arguments, or from what a config says of data.

    Args:
        verb: what the arguments follow.
        description: what the verb does.
    """
    parser = Parser(prog=f"ltr {verb}", description=description)
    parser.add_argument("--config", action="config", help="A recipe or the config of a run, for its data.")
    parser.add_subclass_arguments(LongTailed, "data", required=False)
    return parser


def read_dataset(parser: Parser, arguments: Sequence[str]) -> tuple[LongTailed, Any]:
    """Return the data module, not yet set up, and all values.

    Args:
        parser: one of `dataset_parser`.
        arguments: what follows the verb.

    Raises:
        InputError: where the arguments cannot be used.
    """
    words = configured(arguments, lambda _, content: ["--config", json.dumps({"data": content.get("data")})])
    with causes():
        values = parser.parse_args(words)
        if not values.data or values.data.class_path.endswith(".LongTailed"):  # as of a recipe that is for any data
            raise InputError("name the data, such as `--data FolderLT --data.root my_images`.")
        return parser.instantiate_classes(values).data, values


def repeated(arguments: Sequence[str]) -> list[str]:
    """Return arguments of the data as `ltr fit` takes them: a config that says more than data gives its data only."""

    def data_only(name: str, content: dict[str, Any]) -> list[str]:
        data = content.get("data") or {}
        if content.keys() == {"data"}:
            return ["--config", name]
        return ["--data", json.dumps(data)] if "class_path" in data else []

    return configured(arguments, data_only)


def configured(arguments: Sequence[str], put: Callable[[str, dict[str, Any]], list[str]]) -> list[str]:
    """Return arguments with something else in the place of every config.

    Args:
        arguments: what follows a verb.
        put: what to put, given the name of a config and its content.
    """
    words: list[str] = []
    position = 0
    for start, end, name in option(list(arguments), *CONFIG):
        content = yaml.safe_load(lookup.config(name).read_text(encoding="utf-8")) or {}
        words += [*arguments[position:start], *put(name, content)]
        position = end
    return [*words, *arguments[position:]]
