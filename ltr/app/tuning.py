"""A tuning that the page is asked for, in the words of the command line."""

from __future__ import annotations

import inspect
import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
import yaml

from ltr import backbones, data, heads, losses, trust
from ltr.app.catalogue import known
from ltr.app.networks import architectures
from ltr.app.place import Place
from ltr.app.training import within
from ltr.contracts import Output
from ltr.counts import Tail, imbalance_factor
from ltr.data import FileDataset, HubLT, LongTailed, Synthetic
from ltr.errors import InputError
from ltr.heads import ExpertHeads
from ltr.run.folder import RunFolder, config_text
from ltr.runs import word

BEFORE = "_before"  # after the name of a tuning: the network as it was, a run of its own
CONTROL = "logit_adjustment"
STEPS = ("tuning", "testing it", "keeping the base as it was", "testing it", "testing it with its logits adjusted")
ROOMS = (backbones, data, heads, losses)
OTHERS = ("batch_size", "eval_batch_size", "sampler", "augment")  # of the data, but settled by the tuning
UNNAMED = re.compile(r"[^A-Za-z0-9_+.-]+")
BATCH, USUAL_BATCH = 512, 128  # of gml.yaml, and of base.yaml

Part = Mapping[str, Any] | str | None


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a form says. Every value is checked when the commands are asked for.

    Attributes:
        base: name of the run that is tuned; empty where a file is.
        file: path of a file of weights.
        architecture: of its backbone, where it does not say.
        kind: class of the data; empty for the data of the base.
        root: their folder; empty for the usual one.
        imbalance: N_max / N_min, or its inverse.
        profile: what the tail is like.
        loss: class of the tuning loss.
        epochs: of the tuning.
        rate: learning rate.
        batch: images per step.
        seed: of the tuning.
        name: of the new run.
    """

    base: str = ""
    file: str = ""
    architecture: str = "ResNet32"
    kind: str = ""
    root: str = ""
    imbalance: object = 100
    profile: str = "exp"
    loss: str = "GML"
    epochs: object = 40
    rate: object = 0.1
    batch: object = BATCH
    seed: object = 0
    name: str = ""

    def commands(self, place: Place) -> list[list[str]]:
        """Return what tunes, and what measures the network before, after and with its logits adjusted.

        The network as it was becomes a run of its own of which nothing is trained, so that all figures are of the same
        test images whatever the base is, and nothing is written into its folder.

        Returns:
            The words after `ltr` of each command.

        Raises:
            InputError: where something cannot be used.
        """
        for folder in (place.new(self.name), place.new(self.name + BEFORE)):
            if RunFolder(folder).exists:
                raise InputError(f"the run {folder.name} exists already: choose another name.")
        checkpoint, config = self.start(place)
        backbone, head = network(config, known(self.architecture, architectures(), "architecture"))
        start = ["--model.backbone.checkpoint", checkpoint]
        start += [] if backbone == "ResNet32" else ["--model.backbone.backbone", word("backbone", backbone)]
        kind = [] if head == "Linear" else ["--model.head", word("head", head)]
        images = [*self.data(place, config), "--data.batch_size", number("the batch size", self.batch, 1, 2**16)]
        settings = [
            *("--model.optimizer.lr", number("the learning rate", self.rate, 0, 100, whole=False)),
            *("--trainer.max_epochs", number("the number of epochs", self.epochs, 1, 10_000)),
            *("--seed_everything", number("the seed", self.seed, 0, 2**32 - 1)),
        ]
        tuned = [*start, *kind, *(["--model.old_head", kind[1]] if kind else []), *self.criterion(head), *images]
        runs = ["--runs", str(place.runs)]
        after, before = str(place.runs / self.name), str(place.runs / (self.name + BEFORE))
        return [
            ["fit", "--config", "gml.yaml", *tuned, *settings, "--name", self.name, *runs],
            ["test", "--ckpt_path", after],
            ["fit", "--config", "pretrained.yaml", *start, *kind, *images, "--name", self.name + BEFORE, *runs],
            ["test", "--ckpt_path", before],
            ["test", "--ckpt_path", before, "--config", "logit_adjustment.yaml", "--evaluation", CONTROL],
        ]

    def start(self, place: Place) -> tuple[str, dict[str, Any]]:
        """Return where the weights are, and the config that lies with them, empty where none does."""
        if self.file:
            path = place.inside(self.file)
            if not path.is_file():
                raise InputError(f"{self.file} is a folder: name the file of weights in it.")
            config = config_of(path)
            for text in () if place.trusts(path) else texts(config.get("data")):
                within(place, text)
            return str(path), config
        folder = place.run(self.base)
        checkpoint = RunFolder(folder).checkpoint
        if not checkpoint.is_file():
            raise InputError(f"the run {self.base} has no weights, only results: choose another one.")
        own = place.runs / self.base
        return str(own) if own.is_dir() else self.base, config_of(checkpoint)

    def criterion(self, head: Part) -> list[str]:
        """Return the words for the loss, on each expert where the head has several."""
        loss = known(self.loss, tuning_losses(), "tuning loss")
        kind = class_of(head)
        if kind is None or not issubclass(kind, ExpertHeads):
            return ["--model.loss", loss]
        return ["--model.loss", "PerExpert", "--model.loss.losses", json.dumps([f"ltr.losses.{loss}"])]

    def data(self, place: Place, config: Mapping[str, Any]) -> list[str]:
        """Return the words for the data: those of the base, or others."""
        if not self.kind:
            own = config.get("data")
            if not isinstance(own, Mapping) or not own.get("class_path"):
                raise InputError("the file does not say what it was trained on: choose a data set.")
            said = {key: value for key, value in (own.get("init_args") or {}).items() if key not in OTHERS}
            name = str(own["class_path"]).removeprefix("ltr.data.")
        else:
            name = known(self.kind, list(data_sets()), "data set")
            profile = known(self.profile, list(get_args(Tail)), "profile")
            said = {"root": str(place.inside(self.root))} if self.root else {}
            said |= {"imbalance": factor(self.imbalance)} if profile != "none" else {}
            said["tail"] = profile
        options = [(f"--data.{key}", word(key, value)) for key, value in said.items() if value is not None]
        return ["--data", name, *(part for option in options for part in option)]


def config_of(checkpoint: Path) -> dict[str, Any]:
    """Return what the config that belongs to a checkpoint says of network and data.

    It is empty where there is none.

    Raises:
        InputError: where it names what may not be built.
    """
    text = config_text(checkpoint)
    config: dict[str, Any] = yaml.safe_load(trust.checked(text, checkpoint, keys=trust.NETWORK)) if text else {}
    return config


def texts(content: Any) -> Iterator[str]:
    """Yield all texts in nested content."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for item in content.values() if isinstance(content, dict) else content:
            yield from texts(item)


def network(config: Mapping[str, Any], architecture: str) -> tuple[Part, Part]:
    """Return the backbone and the classifier of a run, as briefly as can be.

    Args:
        config: of the run; where it does not name a backbone, that is of the architecture and the head linear.
        architecture: name of a class.
    """
    said = (config.get("model") or {}).get("init_args") or {}
    if not said.get("backbone"):
        return architecture, "Linear"
    backbone, head = said["backbone"], said.get("head")
    if class_of(backbone) is backbones.Pretrained:
        backbone = inner(backbone, "backbone")
    if class_of(head) is heads.Projection:  # which the classifier is whole without
        head = inner(head, "classifier")
    return brief(backbone) or "ResNet32", brief(head) or "Linear"


def inner(part: Part, key: str) -> Part:
    """Return what a part of a config has in one of its settings; None where it says nothing."""
    said = part.get("init_args") if isinstance(part, Mapping) else None
    return (said or {}).get(key)


def brief(part: Part) -> Part:
    """Return a part of a config without what its class says anyway: its bare name where nothing is left."""
    kind = class_of(part)
    if kind is None:
        return part
    usual = {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}
    own = part.get("init_args") if isinstance(part, Mapping) else None
    said = {key: brief(value) for key, value in (own or {}).items()}
    said = {key: value for key, value in said.items() if value not in (usual.get(key), name_of(usual.get(key)))}
    path = f"{kind.__module__.rpartition('.')[0]}.{kind.__name__}"
    return {"class_path": path, "init_args": said} if said else kind.__name__


def class_of(part: Part) -> type[Any] | None:
    """Return the class that a part of a config names, where it is one of ours."""
    path = str(part.get("class_path") if isinstance(part, Mapping) else part)
    names = {room: path.removeprefix(f"{room.__name__}.") for room in ROOMS}
    return next((getattr(room, name) for room, name in names.items() if name in room.__all__), None)


def name_of(kind: object) -> str | None:
    """Return the name of a class, None for anything else."""
    return kind.__name__ if isinstance(kind, type) else None


def data_sets() -> dict[str, type[LongTailed]]:
    """Return the kinds of sets whose images lie in a folder, or come with the package."""
    kinds = {name: getattr(data, name) for name in data.__all__}
    sets = {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, LongTailed)}
    return {name: kind for name, kind in sets.items() if kind not in (LongTailed, FileDataset, HubLT, Synthetic)}


def tuning_losses() -> list[str]:
    """Return the losses that need nothing but counts and the logits of one classifier."""
    output, labels = Output(torch.zeros(2, 2), torch.zeros(2, 2)), torch.tensor([0, 1])
    found = []
    for name in losses.__all__:
        try:
            getattr(losses, name)(torch.tensor([2, 1]))(output, labels)
        except InputError:  # it asks for several experts, or for embeddings
            continue
        found.append(name)
    return sorted(found, key=lambda name: (name != "GML", name.lower()))


def number(what: str, value: object, low: float, high: float, *, whole: bool = True) -> str:
    """Return a number as it is typed.

    Raises:
        InputError: where it is none, or not in the range.
    """
    kind = "a whole number from" if whole else "a number above"
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = math.nan
    if not (low <= found <= high and (found == int(found) if whole else found > low)):
        raise InputError(f"{what} is {kind} {low:g} and up to {high:,.10g}; it cannot be {value!r:.40}.")
    return f"{int(found)}" if whole else f"{found:.10g}"


def factor(imbalance: object) -> float:
    """Return N_max / N_min, given so or as its inverse.

    Raises:
        InputError: where it is no such number.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the inverse, which the field asks for
        return imbalance_factor(float(number("the imbalance factor", imbalance, 0, 1e6, whole=False)))


def proposed(place: Place, base: str, loss: str) -> str:
    """Return a name for a tuning that is not taken.

    Args:
        place: where the runs are.
        base: name of the run, or path of the file, that is tuned.
        loss: with which.
    """
    stem = UNNAMED.sub("_", Path(base).stem or "run").strip("_.+-")[:50] or "run"
    name, taken = f"{stem}_{str(loss).lower()}", 1
    while any((place.runs / f"{name}{end}").exists() for end in ("", BEFORE)):
        taken += 1
        name = f"{stem}_{str(loss).lower()}_{taken}"
    return name


def proposed_batch(config: Mapping[str, Any]) -> int:
    """Return images per step: as gml.yaml has it, fewer for a set so small that the base took fewer than usual."""
    own = (config.get("data") or {}).get("init_args", {}).get("batch_size", USUAL_BATCH)
    return own if isinstance(own, int) and 0 < own < USUAL_BATCH else BATCH
