"""A trained run and what a command changes in its evaluation; verbs that are functions of it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentError

from ltr.cli import words
from ltr.cli.call import Verb, divided, hand_over, parser
from ltr.cli.catalogue import Option
from ltr.cli.check import Check
from ltr.cli.command import TOP
from ltr.errors import InputError
from ltr.predictor import Predictor
from ltr.run import lookup
from ltr.trust import own_config

CONFIG = {name: Option(Any, None) for name in words.CONFIG}


def load(run: str, given: Sequence[str], **options: Any) -> Predictor:
    """Load a trained run as `ltr predict` does.

    Args:
        run: its name, folder or checkpoint.
        given: what the command line says besides: configs, options, `--trust my_pkg`.
        **options: device and precision, as for `Predictor`.

    Raises:
        InputError: if an option does not exist, or the run cannot be loaded.
    """
    path = lookup.checkpoint(run)
    own = own_config(path, words.values(list(given), "trust"))
    changed = words.without(list(given), "trust")
    return Predictor.parse(path, Check(TOP | CONFIG).arguments(["--config", own, *changed]), **options)


def call_with_run(function: Verb, arguments: Sequence[str], **options: Any) -> None:
    """Call a function of a trained run.

    Args:
        function: named as its verb, whose argument `predictor` is the run.
        arguments: what follows the verb: the run, options of the function, and those of `ltr predict`.
        **options: device and precision, as for `Predictor`.

    Raises:
        InputError: if the arguments cannot be used, or the run cannot be loaded.
    """
    made = parser(function, ("predictor",))
    made.add_argument("--ckpt_path", type=str, required=True, help="The run: its folder, name or checkpoint.")
    own = [*inspect.signature(function).parameters, "ckpt_path"]
    mine, others = divided(list(arguments), own)
    try:
        values = made.parse_args(mine).as_dict()
    except ArgumentError as error:
        raise InputError(" ".join(str(error).split())) from error
    run = values.pop("ckpt_path")
    hand_over(function, values, {"predictor": load(run, others, **options)})
