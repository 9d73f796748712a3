"""Verbs that are functions of a data set."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ltr.cli import words
from ltr.cli.call import Verb, hand_over, parser
from ltr.cli.catalogue import Option
from ltr.cli.check import Check
from ltr.errors import InputError
from ltr.sentences import sentences

# The data set for a path: a folder, or a file by its ending.
KINDS = {"folder": "FolderLT", ".csv": "TableLT", ".tsv": "TableLT", ".parquet": "TableLT"}
PARSED = {name: Option(Any, None) for name in ("config", "h", "help", "print_config")}


def call_with_data(function: Verb, arguments: Sequence[str], **given: Any) -> None:
    """Call a function of a data set, which is built from `--data` and its options, or from a config.

    Args:
        function: named as its verb, with an argument `data`.
        arguments: what follows the verb.
        **given: arguments of the function that are no options.

    Raises:
        InputError: if the arguments cannot be used.
    """
    made, options = parser(function, {*given, "data"}), places(function)
    made.add_subclass_arguments(options["data"].hint, "data", required=False)
    made.add_argument("--config", action="config", help="A recipe or the config of a run, for its data.")
    with sentences():
        values = made.parse_args(Check(options).arguments(data_only(arguments)))
        if not values.data or values.data.class_path.endswith(".LongTailed"):  # as of a recipe that is for any data
            raise InputError("name the data, such as `--data FolderLT --data.root my_images`.")
        built = made.instantiate_classes(values).as_dict()
    built.pop("config", None)
    hand_over(function, built, given)


def places(function: Verb) -> dict[str, Option]:
    """Return the options of a function for `Check`."""
    kinds = typing.get_type_hints(function)
    signature = inspect.signature(function).parameters
    return {**{name: Option(kinds[name], item.default) for name, item in signature.items()}, **PARSED}


def data_only(arguments: Sequence[str]) -> list[str]:
    """Return the arguments, with configs reduced to their data."""
    given = list(arguments)
    found: list[str] = []
    end = 0
    for start, stop, name, value in words.options(given):
        if name in words.CONFIG and value is not None:
            content = words.read(value)
            found += [
                *given[end:start],
                "--config",
                words.text({key: content[key] for key in ("data",) if key in content}),
            ]
            end = stop
    return [*found, *given[end:]]


def named(arguments: Sequence[str]) -> list[str]:
    """Replace a path that comes first by the data set that reads it.

    Args:
        arguments: what follows the verb.

    Raises:
        InputError: if there is no such path, or no data set reads it.
    """
    if not arguments or arguments[0].startswith("-"):
        return list(arguments)
    path = Path(arguments[0])
    kind = "folder" if path.is_dir() else path.suffix.lower()
    if kind not in KINDS or not path.exists():
        raise InputError(
            f"{path} is not a {' or '.join(KINDS)} with images: correct the path, or name another set, such as "
            "`--data CIFAR100LT` or `--config data/digits.yaml`."
        )
    return ["--data", KINDS[kind], "--data.root", *arguments]


def repeated(arguments: Sequence[str]) -> list[str]:
    """Return arguments of the data as `ltr fit` takes them: a config that says more than data gives its data only."""
    given = words.without(list(arguments), "output")
    found: list[str] = []
    end = 0
    for start, stop, name, value in words.options(given):
        if name not in words.CONFIG or value is None:
            continue
        content = words.read(value)
        data = content.get("data") or {}
        found += given[end:start]
        end = stop
        if content.keys() == {"data"}:
            found += ["--config", value]
        elif "class_path" in data:
            found += ["--data", json.dumps(data)]
    return [*found, *given[end:]]
