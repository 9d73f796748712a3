"""Verbs that are functions: their type hints are the options, their docstring is the help.

An argument that is positional-only in Python has no name on the command line either, a list takes several words and
may be given several times, and a bool that is False by default is a flag without a value. Three names stand for more
than one option: `data` is a data set, built from `--data` and `--config`; `predictor` is a trained run, loaded from
`--ckpt_path` and the options of `ltr predict`; `common` are all options that are not the function's own.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docstring_parser
from jsonargparse import ArgumentError, ArgumentParser

from ltr.cli import arguments as words
from ltr.cli.arguments import CONFIG, HELP
from ltr.errors import InputError, did_you_mean
from ltr.library_errors import library_errors

if TYPE_CHECKING:  # torch, which the page must not wait for
    from ltr.predictor import Predictor

Verb = Callable[..., None]
# The data set for a path: a folder, or a file by its ending.
KINDS = {"folder": "FolderLT", ".csv": "TableLT", ".tsv": "TableLT", ".parquet": "TableLT"}


def call(function: Verb, arguments: Sequence[str], *, exact: bool = False, **given: Any) -> None:
    """Call a function with the arguments of the command line.

    Args:
        function: named as its verb.
        arguments: what follows the verb.
        exact: whether its predictor is loaded in float32 on the CPU, else as `ltr predict` does.
        **given: arguments of the function that are not options.

    Raises:
        InputError: if the arguments cannot be used.
    """
    signature, kinds = inspect.signature(function).parameters, typing.get_type_hints(function)
    own = [name for name in signature if name not in (*given, "common", "predictor")]
    made, mine = parser(function, own), list(arguments)
    if "data" in own:
        values = with_data(made, kinds, mine)
    else:
        if "predictor" in signature:
            made.add_argument("--ckpt_path", type=str, required=True, help="The run: its folder, name or checkpoint.")
            own.append("ckpt_path")
        if "common" in signature or "predictor" in signature:
            mine, others = divided(mine, own)
        for _, name, value in words.split(mine):
            if name and name not in (*own, *HELP):
                raise InputError(f"there is no option --{name}{did_you_mean(name, own)}")
            if value is not None and not words.fits(kinds.get(name, Any), value):
                raise InputError(f"--{name} is {words.form(kinds[name])}; it cannot be {value}.")
        try:
            values = made.parse_args(mine).as_dict()
        except ArgumentError as error:
            raise InputError(" ".join(str(error).split())) from error
        if "common" in signature:
            given["common"] = others
        if "predictor" in signature:
            how = {"device": "cpu", "precision": "32-true"} if exact else {}
            given["predictor"] = load(values.pop("ckpt_path"), others, **how)
    everything = {**values, **given}
    first = [everything.pop(name) for name, item in signature.items() if item.kind is item.POSITIONAL_ONLY]
    function(*first, **everything)


def parser(function: Verb, names: Collection[str]) -> ArgumentParser:
    """Return the parser of the options of a function.

    Args:
        function: a verb.
        names: of its arguments that are options.
    """
    kinds, about = typing.get_type_hints(function), docstring_parser.parse(function.__doc__ or "")
    texts = {item.arg_name: item.description for item in about.params}
    made = ArgumentParser(
        prog=f"ltr {function.__name__.replace('_', '-')}",
        description="\n".join(filter(None, (about.short_description, about.long_description))),
        exit_on_error=False,
    )
    for name, item in inspect.signature(function).parameters.items():
        if name not in names or name == "data":
            continue
        lists = [kind for kind in words.alternatives(kinds[name]) if typing.get_origin(kind) is list]
        how: dict[str, Any] = {"type": typing.get_args(lists[0])[0] if lists else kinds[name], "help": texts.get(name)}
        if lists:
            how["nargs"] = "+"
        if item.kind is item.POSITIONAL_ONLY:
            made.add_argument(name, **how)
            continue
        required = item.default is item.empty
        how |= {"required": True} if required else {"default": item.default}
        if lists:
            how |= {"action": "extend"} | ({"default": []} if required else {})
        elif kinds[name] is bool and item.default is False:
            how = {"action": "store_true", "help": texts.get(name)}
        made.add_argument(f"--{name}", **how)
    return made


def divided(arguments: list[str], own: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the words of some options, with what comes before the first, and the words of all others."""
    parts: tuple[list[str], list[str]] = ([], [])
    mine = True
    for argument in words.split(arguments):
        if argument.name:
            mine = argument.name in (*own, *HELP)
        parts[not mine].extend(argument.words)
    return parts


def load(run: str, given: Sequence[str], **options: Any) -> Predictor:
    """Load a trained run as `ltr predict` does.

    Args:
        run: its name, folder or checkpoint.
        given: configs and options that change its evaluation, `--trust my_pkg`.
        **options: device and precision, as for `Predictor`.

    Raises:
        InputError: if an option does not exist, or the run cannot be loaded.
    """
    from ltr.cli.catalogue import TOP  # torch, which the page must not wait for
    from ltr.cli.check import Check
    from ltr.predictor import Predictor
    from ltr.run import lookup
    from ltr.trust import own_config

    path = lookup.checkpoint(run)
    own = own_config(path, words.values(given, "trust"))
    changed = words.without(given, "trust")
    return Predictor.parse(path, Check(TOP).arguments(["--config", own, *changed]), **options)


# ---- data


def with_data(made: ArgumentParser, kinds: dict[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """Return the values of the options of a function, with the data set built.

    Args:
        made: the parser of its other options.
        kinds: the type hints of its arguments.
        given: the words to parse. Of a config, only the data are read.

    Raises:
        InputError: if they cannot be used.
    """
    from ltr.cli.check import Check
    from ltr.signatures import Option

    made.add_subclass_arguments(kinds["data"], "data", required=False)
    made.add_argument("--config", action="config", help="A recipe or the config of a run, for its data.")
    only = []
    for argument in words.split(given):
        if argument.name in CONFIG and argument.value is not None:
            content = words.read(argument.value)
            only += ["--config", words.text({key: content[key] for key in ("data",) if key in content})]
        else:
            only += argument.words
    with library_errors():
        values = made.parse_args(Check({name: Option(kind, None) for name, kind in kinds.items()}).arguments(only))
        if not values.data or values.data.class_path.endswith(".LongTailed"):  # as of a recipe that is for any data
            raise InputError("name the data, such as `--data FolderLT --data.root my_images`.")
        built: dict[str, Any] = made.instantiate_classes(values).as_dict()
    built.pop("config", None)
    return built


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
    """Return arguments of the data as `ltr fit` takes them: of a config with more than data, the data only."""
    found: list[str] = []
    for argument in words.split(words.without(arguments, "output")):
        content = words.read(argument.value) if argument.name in CONFIG and argument.value is not None else None
        if content is None or content.keys() == {"data"}:
            found += argument.words
        elif "class_path" in (content.get("data") or {}):
            found += ["--data", json.dumps(content["data"])]
    return found
