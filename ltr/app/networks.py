"""From a file of weights to a network that answers. The images of its data set are not needed."""

from __future__ import annotations

import json
import pkgutil
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Trainer

from ltr import backbones, callbacks
from ltr.apart import apart
from ltr.app.answering import Network
from ltr.app.catalogue import architectures, published_data
from ltr.backbones import Pretrained
from ltr.callbacks import Adjustment
from ltr.contracts import Preprocessing
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.methods import Method
from ltr.predictor import precision
from ltr.run import safetensors_files, weights
from ltr.run.folder import CHECKPOINT, TEST, EvaluationResult, RunFolder, config_text
from ltr.sentences import sentences
from ltr.trust import own_config

KEPT = 4  # networks in memory
LARGEST = 1024  # height and width of an image that a checkpoint may ask for
QUIET: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "devices": 1}
LOADING = threading.Lock()  # many may ask for one network at once, and it is read once


def network(
    path: Path,
    *,
    trusted: bool,
    architecture: str | None = None,
    data_set: str | None = None,
    packages: tuple[str, ...] = (),
) -> Network:
    """Return the network of a file, which is read once as long as it stays as it is.

    Args:
        path: the file.
        trusted: whether a training here wrote it, so that it is of this machine and its data may be opened.
        architecture: one of `architectures`, for a file that does not say.
        data_set: one of `published_data`, likewise.
        packages: names of the packages whose classes its config may name.

    Raises:
        InputError: where it cannot be read, does not fit, or does not say what it is of.
    """
    status = path.stat()
    source = Source(path, status.st_mtime_ns, status.st_size, trusted, architecture, data_set, packages)
    with LOADING:
        try:
            return _read(source)
        except InputError as error:
            raise InputError(str(error).replace(str(path), f"the file {path.name}")) from error


class Source(NamedTuple):
    """What a network is made from; another one where the file has changed.

    Attributes:
        path: the file.
        changed: when it did so last.
        length: in bytes.
        trusted: whether a training here wrote it.
        architecture: what it is said to be of.
        data_set: what it is said to be trained on.
        packages: names of the packages whose classes its config may name.
    """

    path: Path
    changed: int
    length: int
    trusted: bool
    architecture: str | None
    data_set: str | None
    packages: tuple[str, ...]


@lru_cache(KEPT)
def _read(source: Source) -> Network:
    """Read a file of weights."""
    path = source.path
    content = weights.read(str(path))
    state = weights.tensors(content, path.name)
    try:
        with apart():
            if "counts" in state and config_text(path):
                return _run(path, {**content, "state_dict": state}, trusted=source.trusted, packages=source.packages)
            return _foreign(path, source.architecture, source.data_set)
    except weights.UNREADABLE as error:
        raise InputError(f"{path} is of no network that `ltr` can build ({weights.first_line(error)}).") from error


def _run(path: Path, content: dict[str, Any], *, trusted: bool, packages: tuple[str, ...]) -> Network:
    """Return the network of a checkpoint of a run."""
    config = yaml.safe_load(own_config(path, packages))
    if not {"model", "data"} <= config.keys():
        raise InputError(f"the config of {path} does not say what its network is.")
    state, trainer = content["state_dict"], config.get("trainer") or {}
    kept = ("accelerator", "precision") if trusted else ("precision",)  # a stranger has another machine
    counts = {"counts": state["counts"].tolist()}
    model = Part(Method, {**config["model"], "init_args": config["model"].get("init_args", {}) | counts})
    method = model.built()
    method.on_load_checkpoint(content)
    method.load_state_dict(state)
    shown = Part(LongTailed, config["data"])
    return _ready(
        path,
        method,
        look(shown),
        _kept_names(path, trusted=trusted) or _names(shown if trusted else shown.plain),
        unused=_adjustments(trainer.get("callbacks") or []),
        **{key: trainer[key] for key in kept if trainer.get(key)},
    )


def _foreign(path: Path, architecture: str | None, data_set: str | None) -> Network:
    """Return the network of weights that others trained."""
    sets = published_data()
    if architecture not in architectures() or data_set not in sets:
        raise InputError(
            f"{path} holds weights and does not say what of: name the architecture and the data set it was trained on."
        )
    assert architecture is not None
    shown = Part(LongTailed, sets[data_set].__name__)
    backbone = Pretrained(str(path), getattr(backbones, architecture)(), "all")
    classifier, names = backbone.load(), _names(shown)
    classes = len(next(iter(classifier.values()), names))
    if names and len(names) != classes:
        raise InputError(f"the classifier in {path} has {classes} classes, {data_set} has {len(names)}.")
    method = Method(backbone, [1] * classes)
    method.start(classifier)
    return _ready(path, method, look(shown), names)


class Part:
    """A part as a config has it, which need not be built to know its options.

    Args:
        base: the kind of part.
        config: its class, or its class and its options.

    Raises:
        InputError: where there is no such part, or it has no such options.
    """

    def __init__(self, base: type[Any], config: Any) -> None:
        self.base, self.parser = base, ArgumentParser(exit_on_error=False)
        self.parser.add_subclass_arguments(base, "part", required=True)
        with sentences():
            self.values = self.parser.parse_object({"part": config})
        self.kind: type[Any] = pkgutil.resolve_name(self.values.part.class_path)
        self.options: dict[str, Any] = self.values.part.init_args.as_dict()

    def built(self) -> Any:
        """Return the part itself."""
        with sentences():
            return self.parser.instantiate_classes(self.values).part

    @property
    def plain(self) -> Part | None:
        """The part of this class without a word of the config; None where that is not enough to make one."""
        return Part(self.base, self.kind.__name__) if self.kind in published_data().values() else None


def _ready(
    path: Path,
    method: Method,
    shown: Preprocessing,
    names: list[str],
    *,
    unused: list[str] | None = None,
    **trainer: Any,
) -> Network:
    """Put a network where it answers."""
    who = Trainer(**{"precision": precision(), **trainer, **QUIET})
    method.backbone.to(memory_format=torch.channels_last)  # as an evaluation lays it out
    who.precision_plugin.convert_module(method).to(who.strategy.root_device).eval()
    classes = len(method.counts)
    named = len(names) == classes
    name = path.parent.name if path.name == CHECKPOINT else path.name
    return Network(name, method, shown, names if named else list(map(str, range(classes))), named, who, unused or [])


def look(shown: Part) -> Preprocessing:
    """Return what the images of a set are like; nothing of it is read.

    Raises:
        InputError: where they are larger than a page should make them.
    """
    known = {key: shown.options.get(key) or getattr(shown.kind, key) for key in ("size", "crop", "mean", "std")}
    found = Preprocessing(**known)
    if not 0 < (found.crop or found.size) <= found.size <= LARGEST:
        raise InputError(f"a network of images of {found.size} pixels cannot be asked here; {LARGEST} is the most.")
    return found


def _adjustments(said: Any) -> list[str]:
    """Return which of the callbacks of a config, a list or a single one, are adjustments."""
    names = [item["class_path"].rpartition(".")[2] for item in (said if isinstance(said, list) else [said])]
    return [name for name in names if issubclass(getattr(callbacks, name, type), Adjustment)]


def _kept_names(path: Path, *, trusted: bool) -> list[str]:
    """Return the names of the classes that a test has written beside a file, or an export into it; else none."""
    run = RunFolder(path.parent)
    if trusted and run.tested():
        return EvaluationResult.read(run.path / TEST).classes
    if path.suffix == ".safetensors":
        return list(map(str, json.loads(safetensors_files.about(path).get("classes", "[]"))))
    return []


def _names(shown: Part | None) -> list[str]:
    """Return the names of the classes as the files of a set have them; none where these are not here."""
    try:
        return list(shown.built().read()[1]) if shown else []
    except (InputError, OSError):
        return []
