"""Verbs that are functions: their type hints are the options, their docstring is the help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from ltr.cli.parser import Parser


def call(function: Callable[..., None], arguments: Sequence[str]) -> None:
    """Call a function with the arguments of the command line.

    Args:
        function: named as its verb.
        arguments: what follows the verb.

    Raises:
        InputError: where the arguments cannot be used.
    """
    about = inspect.cleandoc(function.__doc__ or "").partition("\n\nArgs:")[0]
    parser = Parser(prog=f"ltr {function.__name__}", description=about)
    parser.add_function_arguments(function, as_group=False)
    function(**parser.instantiate_classes(parser.parse_args(list(arguments))).as_dict())
