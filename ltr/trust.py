"""Check the config that comes with a file, before anything of it is built.

jsonargparse imports and calls whatever a config names, so the config in a checkpoint, a run folder, a repository or an
upload could run code. `checked` returns a config that cannot, by two rules:

- *The place decides the base.* The config is walked along the type hints of the constructors, as jsonargparse does:
  below `loss: Callable[[Tensor], Loss]` only a `Loss` can be named, at any depth. Text is a name where the hint has a
  class, and text where it has `str`. Where the hint has neither (`Any`, a `Callable` of no class, an argument without
  a hint), only numbers are taken.
- *A name is looked up, never imported.* `classes` lists what may be named: the parts of `ltr`, the optimizers of torch,
  and those parts of Lightning that `LIGHTNING` lists. Functions, methods and modules are not in it. `--trust my_pkg`
  adds the classes that are defined in a package; it is imported, and the base of the place counts there too.

The config that a user writes, or names with `--config`, is not checked.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import traceback
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from lightning.pytorch import Trainer, loggers, plugins, profilers, strategies
from lightning.pytorch import callbacks as lightning_callbacks
from torch.optim import Optimizer

from ltr import backbones, callbacks, data, heads, losses, methods, mixes, optimizers, samplers, schedules
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.library_errors import owner, sentence
from ltr.methods import Method
from ltr.process_state import import_from_here
from ltr.run import checkpoint_config, description, hub
from ltr.signatures import options

NETWORK = ("seed_everything", "model", "data", "name")  # what describes a network, its data and its run
WHOLE = (*NETWORK, "trainer", "runs")
LARGEST = 2**18  # characters of a config; those of our recipes have 4,000
MOST = 10_000  # values in a config, aliases expanded

ROOMS = (backbones, callbacks, data, heads, losses, methods, mixes, optimizers, samplers, schedules)
# The command adds these callbacks itself, with the folder of the run: they write there, and `Run` replaces it.
OWN = (callbacks.Evaluation, callbacks.Progress, callbacks.Run)
# Left out is what takes functions as arguments, or sends results to a server that the config chooses.
LIGHTNING = {
    lightning_callbacks: (
        "BatchSizeFinder DeviceStatsMonitor EarlyStopping EMAWeightAveraging GradientAccumulationScheduler "
        "LearningRateFinder LearningRateMonitor ModelCheckpoint ModelSummary OnExceptionCheckpoint RichModelSummary "
        "SpikeDetection TQDMProgressBar WeightAveraging"
    ),
    loggers: "CSVLogger TensorBoardLogger WandbLogger",
    profilers: "AdvancedProfiler PassThroughProfiler PyTorchProfiler SimpleProfiler",
    strategies: "DDPStrategy SingleDeviceStrategy",
    plugins: "DoublePrecision HalfPrecision MixedPrecision TorchSyncBatchNorm",
}
# Arguments that a class hands on to a library, where they are text.
HANDED_ON: dict[type[Any], dict[str, Any]] = {
    loggers.WandbLogger: {"entity": str, "group": str, "job_type": str, "mode": str, "notes": str, "tags": list[str]},
}
PLAIN = (bool, int, float, str, Path, timedelta, type(None))
WORD = re.compile(r"[a-z0-9_:-]*")  # `auto`, `bf16-mixed`: without a dot and a capital, it names no class
NUMBER = re.compile(r"[+-]?\d+e[+-]?\d+")  # `1e-4`, which YAML takes for text


def checked(text: str, origin: object, packages: Collection[str] = (), keys: Collection[str] = WHOLE) -> str:
    """Return what may be built of the config that comes with a file, as YAML.

    Args:
        text: the config as YAML.
        origin: what it comes with, for the error.
        packages: names of the top-level packages that this command line trusts.
        keys: what is kept of it; everything else is left out.

    Raises:
        InputError: if it names what may not be built, or cannot be a config.
    """
    check = Check(str(origin), tuple(packages))
    content = check.loaded(text)
    hints = {"model": Method, "data": LongTailed, "seed_everything": int, "name": str, "runs": str}
    kept = {}
    for key in (key for key in content if key in keys):
        if key == "trainer":
            kept[key] = check.options(Trainer, content[key] or {}, key)
        else:
            kept[key] = check.value(content[key], hints[key], key)
    return yaml.safe_dump(kept, sort_keys=False)


def own_config(path: Path, packages: Collection[str] = ()) -> str:
    """Return what may be built of the config of a run, as YAML.

    This is the one place that reads the config that comes with a file in order to build it.

    Args:
        path: the checkpoint. The trainer of one from the Hub is left out: it is of another machine.
        packages: names of the top-level packages that this command line trusts.

    Raises:
        InputError: if there is no config, or it names what may not be built.
    """
    keys = NETWORK if hub.repository(path) else WHOLE
    return checked(checkpoint_config.own_config(path), path, packages, keys)


def check_config(path: Path, packages: Collection[str] = ()) -> None:
    """Refuse the config of a run as one for `--config`, which is read without a check.

    Args:
        path: the config in the folder of the run.
        packages: names of the top-level packages that are trusted.

    Raises:
        InputError: if it names what may not be built, or has an option that is not one of a run.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    kept = description.load(checked(text, path, packages))
    if others := description.load(text).keys() - kept.keys():
        raise InputError(f"{path} is refused: it has {min(map(str, others))}, which is not an option of a run.")


def value(content: Any, hint: Any, place: str, packages: Collection[str] = ()) -> Any:
    """Return a value of an option, checked like one in the config of a file.

    Args:
        content: the value as YAML has it.
        hint: the type hint of the option.
        place: the option, for the error.
        packages: names of the top-level packages that this command line trusts.

    Raises:
        InputError: if it names what may not be built.
    """
    return Check(place, tuple(packages)).value(content, hint, place)


def imported(path: str) -> Any:
    """Import what a user names by its dotted path: from the environment, else from the folder one stands in.

    Returns:
        None if the module has nothing of that name.

    Raises:
        InputError: if it cannot be imported.
    """
    module, _, name = path.rpartition(".")
    package = module.partition(".")[0]
    try:
        if importlib.util.find_spec(package) is None and any(Path(package + end).exists() for end in ("", ".py")):
            import_from_here()
        return getattr(importlib.import_module(module), name, None)
    except Exception as error:  # of any kind: it is the user's code that runs
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if owner(frame.filename) == ""]
        where = f" ({lines[-1].filename}, line {lines[-1].lineno})" if lines else ""
        kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        advice = ""
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            advice = " Install the package, or go to the folder with it."
        raise InputError(f"{path} cannot be imported: {kind}{sentence(error)}{where}.{advice}") from error


@cache
def classes() -> Mapping[str, tuple[type[Any], ...]]:
    """Return the classes that a config may name, by their public path, the path of their definition and their name."""
    by_path: dict[str, type[Any]] = {}
    for room in ROOMS:
        by_path |= {f"{room.__name__}.{name}": vars(room)[name] for name in room.__all__}
    for module, names in LIGHTNING.items():
        by_path |= {f"{module.__name__}.{name}": vars(module)[name] for name in names.split()}
    torchs = {name: vars(torch.optim)[name] for name in torch.optim.__all__}
    by_path |= {f"torch.optim.{name}": kind for name, kind in torchs.items() if is_below(kind, Optimizer)}
    named: dict[str, tuple[type[Any], ...]] = {}
    for path, kind in by_path.items():
        if inspect.isclass(kind) and kind not in OWN:
            for name in {path, f"{kind.__module__}.{kind.__qualname__}", kind.__name__}:
                named[name] = (*named.get(name, ()), kind)
    return named


class Merged(yaml.YAMLError):
    """A mapping is merged into another one."""


class Unmerged(description.LOADER):  # type: ignore[misc, valid-type]
    """A reader of YAML without merges: one copies what an alias points to, and again in every merge around it."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse a merge before anything is copied."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise Merged


@dataclass
class Check:
    """A check of one config.

    Attributes:
        origin: what the config comes with.
        packages: names of the top-level packages that are trusted.
        left: how many values may still follow.
    """

    origin: str
    packages: tuple[str, ...]
    left: int = MOST

    def loaded(self, text: str) -> dict[str, Any]:
        """Return the content of a config, which takes no more memory than its text allows."""
        if len(text) > LARGEST:
            raise self.refused(f"its config has {len(text):,} characters, more than {LARGEST:,}")
        try:
            content = yaml.load(text, Unmerged)  # noqa: S506, it is a SafeLoader
        except Merged as error:
            raise self.refused("its config merges mappings with `<<`") from error
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
            raise self.refused("its config is not valid YAML") from error
        if not isinstance(content, dict):
            raise self.refused("its config does not describe a network")
        return content

    def value(self, content: Any, hint: Any, place: str) -> Any:
        """Return a value that may stand at a place.

        Args:
            content: the value.
            hint: the type hint of the place.
            place: where it is in the config, for the error.
        """
        self.left -= 1
        if self.left < 0 or len(re.findall(r"[.\[]", place)) > 50 or len(place) > 2000:
            raise self.refused(f"its config has more than {MOST:,} values, or nests them too deeply")
        if content is None or content == "" or isinstance(content, bool | int | float):
            return content
        kinds = tuple(leaves(hint))
        bases = tuple(kind for kind in kinds if kind not in (*PLAIN, list, dict, object))
        if isinstance(content, list):
            return [self.value(item, hint, f"{place}[{number}]") for number, item in enumerate(content)]
        if isinstance(content, str):
            plain = (str in kinds and WORD.fullmatch(content)) or (float in kinds and NUMBER.fullmatch(content))
            if bases and not plain:
                return {"class_path": self.named(content, bases, place)[0]}
            if object not in kinds and (str in kinds or not {list, dict} & {*kinds}):
                return content
            raise self.refused(f"its config has the text {content[:80]!r} at {place}, where none can stand")
        if isinstance(content, dict) and {"class_path", "init_args"} & content.keys():
            return self.part(content, bases, place)
        if isinstance(content, dict) and dict in kinds and all(isinstance(key, str | int) for key in content):
            return {key: self.value(item, hint, f"{place}.{key}") for key, item in content.items()}
        raise self.refused(f"its config has a {type(content).__name__} at {place}, where none can stand")

    def part(self, content: dict[Any, Any], bases: Sequence[type[Any]], place: str) -> dict[str, Any]:
        """Return a part that is given by its class and options."""
        if "class_path" not in content:
            raise self.refused(f"its config has no class_path at {place}")
        path, kind = self.named(content["class_path"], bases, place)
        part: dict[str, Any] = {"class_path": path}
        kinds = ("init_args", "dict_kwargs")  # jsonargparse takes arguments that have a hint in both
        part |= {key: self.options(kind, content[key], place) for key in kinds if key in content}
        if extra := [str(key) for key in content if key not in part]:
            raise self.refused(f"its config has {extra[0][:80]} beside the class at {place}")
        return part

    def options(self, kind: Callable[..., Any], content: Any, place: str) -> dict[str, Any]:
        """Return the options of a class."""
        if not isinstance(content, dict) or not all(isinstance(key, str) and key.isidentifier() for key in content):
            raise self.refused(f"its config has a {type(content).__name__} at {place}, where options are expected")
        hints = parameters(kind)
        return {key: self.value(item, hints.get(key, object), f"{place}.{key}") for key, item in content.items()}

    def named(self, name: Any, bases: Sequence[type[Any]], place: str) -> tuple[str, type[Any]]:
        """Return the path of a class, and the class, by its path or its name."""
        if not bases:
            raise self.refused(f"its config names {str(name)[:80]} at {place}, where no class can stand")
        package = str(name).partition(".")[0]
        known = classes().get(str(name), ())
        if package in self.packages and "." in str(name):
            known = (*known, *self.trusted(str(name)))
        fitting = [kind for kind in known if is_below(kind, bases)]
        if len(fitting) == 1:
            path = str(name) if "." in str(name) else f"{fitting[0].__module__}.{fitting[0].__qualname__}"
            return path, fitting[0]
        wanted = " or ".join(dict.fromkeys(base.__name__ for base in bases))
        sentence = f"its config names {str(name)[:80]} at {place}, which is not a known {wanted}"
        ours = {"ltr", "torch", *self.packages, *sys.stdlib_module_names}
        if "." in str(name) and package.isidentifier() and package not in ours:
            raise self.refused(sentence, f" If it is a class that you trust, pass `--trust {package}`.")
        raise self.refused(sentence)

    def trusted(self, name: str) -> Iterator[type[Any]]:
        """Yield the class at a path, if the path leads to a class that a trusted package defines."""
        try:
            kind = imported(name)
        except InputError as error:
            raise self.refused(str(error).removesuffix(".")) from error
        if inspect.isclass(kind) and kind.__module__.partition(".")[0] in self.packages:
            yield kind

    def refused(self, why: str, remedy: str = "") -> InputError:
        """Return the error."""
        return InputError(f"{self.origin} is refused: {why}.{remedy}")


def leaves(hint: Any) -> Iterator[type[Any]]:
    """Yield the classes in a type hint: of a `Callable` the class that it returns, `object` for a hint without a class.

    A container yields `list` or `dict` beside the classes of its content.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for part in args:
            yield from leaves(part)
    elif origin is typing.Annotated:
        yield from leaves(args[0])
    elif origin is Literal:
        yield str
    elif origin is Callable or hint in (Callable, typing.Callable):
        result = args[-1] if args else object
        yield result if inspect.isclass(result) and result not in PLAIN else object
    elif inspect.isclass(origin):
        yield dict if issubclass(origin, Mapping) else list
        for part in args[-1:] if issubclass(origin, Mapping) else args:
            if part is not ...:
                yield from leaves(part)
    else:
        yield hint if inspect.isclass(hint) and hint is not Any else object


@cache
def parameters(kind: Any) -> dict[str, Any]:
    """Return the type hints of the arguments of a class, those that it hands on to its bases included."""
    return {name: option.hint for name, option in options(kind).items()} | HANDED_ON.get(kind, {})


def is_below(kind: Any, bases: type[Any] | Sequence[type[Any]]) -> bool:
    """Return whether something is a class that derives from one of some bases."""
    return inspect.isclass(kind) and issubclass(kind, tuple(bases) if isinstance(bases, Sequence) else bases)
