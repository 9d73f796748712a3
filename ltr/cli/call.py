"""Verbs that are functions: their type hints are the options, their docstring is the help.

An argument that is positional-only in Python has no name on the command line either, a list takes several words and
may be given several times, and a bool that is False by default is a flag without a value. Three names stand for more
than one option: `data` is a data set, built from `--data` and `--config`; `predictor` is a trained run, loaded from
`--ckpt_path` and the options of `ltr predict`; `common` are all other options.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docstring_parser
from jsonargparse import ArgumentParser

from ltr import signatures
from ltr.cli import arguments as words
from ltr.cli.arguments import CONFIG, HELP
from ltr.errors import InputError
from ltr.library_errors import library_errors
from ltr.sentences import did_you_mean

if TYPE_CHECKING:  # torch, which the page must not wait for
    from ltr.predictor import Predictor

Verb = Callable[..., None]
# The data set for a path: a folder, or a file by its ending.
KINDS = {"folder": "FolderLT", ".csv": "TableLT", ".tsv": "TableLT", ".parquet": "TableLT", ".pq": "TableLT"}


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
    parameters, hints = inspect.signature(function).parameters, typing.get_type_hints(function)
    names = [name for name in parameters if name not in (*given, "common", "data", "predictor")]
    options = parser(function, names)
    if "data" in parameters:
        values = with_data(options, hints, arguments)
    else:
        if "predictor" in parameters:
            about = (
                "The run: folder, name or checkpoint. Options that are not listed here are those of `ltr predict`, "
                "such as `--config logit_adjustment.yaml` and `--trust my_pkg`."
            )
            options.add_argument("--ckpt_path", type=str, required=True, help=about)
            names.append("ckpt_path")
        if "common" in parameters or "predictor" in parameters:
            arguments, others = divided(arguments, names)
        for _, name, value in words.split(arguments):
            if name and name not in (*names, *HELP):
                raise InputError(f"there is no option --{name}{did_you_mean(name, names)}")
            if value is not None and not signatures.fits(hints.get(name, Any), value):
                raise InputError(f"--{name} is {signatures.form(hints[name])}; it cannot be {value}.")
        with library_errors():
            values = options.parse_args(list(arguments)).as_dict()
        if "common" in parameters:
            given["common"] = others
        if "predictor" in parameters:
            how = {"device": "cpu", "precision": "32-true"} if exact else {}
            given["predictor"] = load(values.pop("ckpt_path"), others, **how)
    values |= given
    positional = [values.pop(name) for name, item in parameters.items() if item.kind is item.POSITIONAL_ONLY]
    function(*positional, **values)


def parser(function: Verb, names: Collection[str]) -> ArgumentParser:
    """Return the parser of the options of a function.

    Args:
        function: a verb.
        names: of its arguments that are options.
    """
    kinds, about = typing.get_type_hints(function), docstring_parser.parse(function.__doc__ or "")
    texts = {item.arg_name: item.description for item in about.params}
    options = ArgumentParser(
        prog=f"ltr {function.__name__.replace('_', '-')}",
        description="\n".join(filter(None, (about.short_description, about.long_description))),
        exit_on_error=False,
    )
    for name, item in inspect.signature(function).parameters.items():
        if name not in names:
            continue
        lists = [kind for kind in signatures.alternatives(kinds[name]) if typing.get_origin(kind) is list]
        how: dict[str, Any] = {"type": typing.get_args(lists[0])[0] if lists else kinds[name], "help": texts.get(name)}
        if lists:
            how["nargs"] = "+"
        if item.kind is item.POSITIONAL_ONLY:
            options.add_argument(name, **how)
            continue
        required = item.default is item.empty
        how |= {"required": True} if required else {"default": item.default}
        if lists:
            how |= {"action": "extend"} | ({"default": []} if required else {})
        elif kinds[name] is bool and item.default is False:
            how = {"action": "store_true", "help": texts.get(name)}
        options.add_argument(f"--{name}", **how)
    return options


def divided(arguments: Sequence[str], names: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the words of some options, with what comes before the first, and the words of all others."""
    parts: tuple[list[str], list[str]] = ([], [])
    other = False
    for argument in words.split(arguments):
        if argument.name:
            other = argument.name not in (*names, *HELP)
        parts[other].extend(argument.words)
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
    from ltr.cli.configs import note_replaced_callbacks, refuse_useless
    from ltr.predictor import Predictor
    from ltr.run import lookup
    from ltr.trust import own_config

    refuse_useless("predict", given)
    path = lookup.checkpoint(run)
    config = ["--config", own_config(path, words.values(given, "trust"))]
    checked = Check(TOP).arguments([*config, *words.without(given, "trust")])
    note_replaced_callbacks(given)
    return Predictor.parse(path, checked, **options)


# ---- data


def with_data(options: ArgumentParser, hints: dict[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
    """Return the values of the options of a function, with the data set built.

    Args:
        options: the parser of its other options.
        hints: the type hints of its arguments.
        arguments: the words to parse. Of a config, only the data are read.

    Raises:
        InputError: if they cannot be used.
    """
    from ltr.cli.check import Check

    options.add_subclass_arguments(hints["data"], "data", required=False)
    options.add_argument("--config", action="config", help="A recipe or the config of a run, for its data.")
    check = Check({name: signatures.Option(hint) for name, hint in hints.items()})
    data_only: list[str] = []
    for argument in words.split(arguments):
        content = config_of(argument)
        data_only += argument.words if content is None else ["--config", words.text(pick_data(content))]
    with library_errors():
        values = options.parse_args(check.arguments(data_only))
        if not values.data or values.data.class_path.endswith(".LongTailed"):  # as of a recipe that is for any data
            raise InputError("name the data, such as `--data FolderLT --data.root my_images`.")
        built: dict[str, Any] = options.instantiate_classes(values).as_dict()
    built.pop("config", None)
    return built


def config_of(argument: words.Argument) -> dict[str, Any] | None:
    """Return the content of a config that an argument names, None for any other argument."""
    return words.content(argument.value) if argument.name in CONFIG and argument.value is not None else None


def pick_data(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config without anything but its data."""
    return {"data": config["data"]} if "data" in config else {}


def path_as_data(arguments: Sequence[str]) -> list[str]:
    """Replace a path that comes first by the data set that reads it, the one that is named or the one for its kind.

    Args:
        arguments: what follows the verb.

    Raises:
        InputError: if there is no such path, or no data set reads it.
    """
    if not arguments or arguments[0].startswith("-"):
        if stray := [argument.words[0] for argument in words.split(arguments) if not argument.name]:
            raise InputError(f"{stray[0]} belongs to no option: name the images first, before all options.")
        return list(arguments)
    path = Path(arguments[0])
    kind = "folder" if path.is_dir() else path.suffix.lower()
    if kind not in KINDS or not path.exists():
        raise InputError(
            f"{path} is not a {' or '.join(KINDS)} with images: correct the path, or name another set, such as "
            "`--data CIFAR100LT` or `--config data/digits.yaml`."
        )
    root, rest = ["--data.root", arguments[0]], arguments[1:]
    if "data" in (argument.name for argument in words.split(rest)):
        return [*rest, *root]
    return ["--data", KINDS[kind], *root, *rest]


def data_words(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of the data as `ltr fit` takes them: of a config with more than data, the data only."""
    repeated: list[str] = []
    for argument in words.split(arguments):
        content = config_of(argument)
        if content is None:
            repeated += argument.words if argument.name.partition(".")[0] == "data" else ()
        elif content.keys() == {"data"}:
            repeated += argument.words
        elif "class_path" in (content.get("data") or {}):
            repeated += ["--data", json.dumps(content["data"])]
    return repeated


# ---- new images


def new_image_words(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of `ltr predict` with which new images are predicted; none if it is the test split of a run.

    A folder with images and without class folders, given as the data, is new images, too.
    """
    flat = [root for root in words.values(arguments, "data.root")[-1:] if is_flat(Path(root))]
    predicted = [*words.without(arguments, "data.root"), "--images", *flat] if flat else list(arguments)
    return predicted if any(argument.name == "images" for argument in words.split(predicted)) else []


def is_flat(folder: Path) -> bool:
    """Return whether a folder has files and no folders; hidden ones do not count."""
    inside = [path for path in folder.iterdir() if path.name[0] != "."] if folder.is_dir() else []
    return bool(inside) and not any(path.is_dir() for path in inside)
