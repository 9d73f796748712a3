"""A finished run from the command line, for the verbs that take it elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from ltr.cli.arguments import option
from ltr.cli.dataset import configured
from ltr.cli.parser import Parser, causes
from ltr.data import LongTailed
from ltr.export import Trained
from ltr.methods import Method
from ltr.run import hub, lookup, weights
from ltr.run.folder import own_config


def trained_parser(verb: str, description: str) -> Parser:
    """Return a parser for a run, and for what is said anew of its data.

    Args:
        verb: what the arguments follow.
        description: what the verb does.
    """
    parser = Parser(prog=f"ltr {verb}", description=description)
    parser.add_argument("--config", action="config", help="A recipe for the data, where they are not those of the run.")
    parser.add_argument("--ckpt_path", type=str, required=True, help="The run: its folder, name or checkpoint.")
    parser.add_subclass_arguments(LongTailed, "data", required=True)
    parser.add_subclass_arguments(Method, "model", required=True)
    parser.link_arguments("data.counts", "model.init_args.counts", apply_on="instantiate")
    return parser


def read_trained(parser: Parser, arguments: Sequence[str]) -> tuple[Trained, Any]:
    """Return the run, and all values.

    Args:
        parser: one of `trained_parser`.
        arguments: what follows the verb.

    Raises:
        InputError: where the arguments cannot be used, or the run cannot be read.
    """
    given = option(list(arguments), "--ckpt_path")
    if not given or {"-h", "--help"} & set(arguments):
        parser.parse_args(list(arguments))  # which says what is missing, or the help
    path = lookup.checkpoint(given[-1][2])
    config = own_config(path)
    if hub.repository(path):
        config = hub.harmless(config, path)
    own = yaml.safe_load(config)
    words = configured(arguments, lambda _, content: ["--config", json.dumps({"data": content.get("data")})])
    with causes():
        values = parser.parse_args(["--config", json.dumps({key: own[key] for key in ("data", "model")}), *words])
        built = parser.instantiate_classes(values)
    return Trained.of(path, weights.read(str(path)), config, built.model, built.data), values
