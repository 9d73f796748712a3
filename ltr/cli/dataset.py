"""A data module from the command line, for the verbs that need nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from ltr import shipped
from ltr.cli.arguments import CONFIG, option
from ltr.cli.parser import Parser, cause
from ltr.data import LongTailed
from ltr.errors import InputError


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
    words: list[str] = []
    position = 0
    for start, end, name in option(list(arguments), *CONFIG):
        content = yaml.safe_load(shipped.config(name).read_text(encoding="utf-8")) or {}
        words += [*arguments[position:start], "--config", json.dumps({"data": content.get("data")})]
        position = end
    try:
        values = parser.parse_args([*words, *arguments[position:]])
        if not values.data:
            raise InputError("name the data, such as `--data FolderLT --data.root my_images`.")
        return parser.instantiate_classes(values).data, values
    except ValueError as error:
        if (known := cause(error)) is None:
            raise
        raise known from error
