"""The networks of the page: predictors that are read once, with the head that a tuning replaced beside the new one."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ltr import backbones
from ltr.app.catalogue import architectures, published_data
from ltr.backbones import Pretrained
from ltr.callbacks import TemperatureEnsemble
from ltr.callbacks.temperature_ensemble import averaged
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.methods import Method, Tuning
from ltr.predictor import Predictor, adjustments_of, build, trained
from ltr.preprocessing import Preprocessing
from ltr.process_state import isolated
from ltr.run import base_weights, description, torch_files, weights
from ltr.run.checkpoint_config import config_text
from ltr.run.folder import CHECKPOINT
from ltr.sentences import first_line
from ltr.trust import own_config

KEPT = 4  # networks in memory
LARGEST = 1024  # height and width of an image that a checkpoint may ask for
LOADING = threading.Lock()  # a network that several requests need at once is read once
COOLEST, WARMEST = 0.1, 10.0  # temperatures that the page allows


class Prediction(NamedTuple):
    """The logits of a network for some images, before any temperature.

    Attributes:
        logits: (B, C), adjusted as the run says.
        old: (B, C) of the head that a tuning replaced; None if there was none.
    """

    logits: Tensor
    old: Tensor | None

    def columns(self, t_new: float, t_old: float) -> dict[str, Tensor]:
        """Return the probabilities (B, C) of each head and of their ensemble, by title.

        Args:
            t_new: temperature of the head.
            t_old: temperature of the head that was replaced, if there was one.

        Raises:
            InputError: if a temperature is out of range.
        """
        for temperature in (t_new, t_old):
            if not COOLEST <= temperature <= WARMEST:
                raise InputError(f"a temperature must be between {COOLEST:g} and {WARMEST:g}, not {temperature:g}.")
        new = self.logits / t_new
        if self.old is None:
            return {"Head": new.softmax(1)}
        old = self.old / t_old
        return {"Old head": old.softmax(1), "New head": new.softmax(1), "Ensemble": averaged(new, old).softmax(1)}


@dataclass(frozen=True)
class Network:
    """A trained network as the page shows it.

    Attributes:
        predictor: the network.
    """

    predictor: Predictor

    @property
    def tuned(self) -> bool:
        """Whether it has a head that a tuning replaced."""
        return isinstance(self.predictor.method, Tuning) and bool(self.predictor.method.old_known)

    @property
    def named(self) -> bool:
        """Whether its classes have names."""
        return bool(self.predictor.method.classes)

    def seen(self, images: Tensor) -> Tensor:
        """Return the part of images (B, 3, size, size) uint8 that the network sees."""
        return self.predictor.preprocessing.cropped(images)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Return the logits for images (B, 3, size, size) uint8, as `ltr predict` computes them.

        Raises:
            InputError: if a logit is not finite.
        """
        output, old = self.predictor.output(images), None
        if self.tuned:
            with self.predictor.trainer.precision_plugin.forward_context():
                old = TemperatureEnsemble.old_logits(self.predictor.method, output.features).cpu()
        return Prediction(output.logits.float().cpu(), old)


def network(
    path: Path,
    *,
    trusted: bool,
    architecture: str | None = None,
    data_set: str | None = None,
    packages: tuple[str, ...] = (),
) -> Network:
    """Return the network of a file, which is read again only if the file changes.

    Args:
        path: the file.
        trusted: whether a training here wrote it, so that it is of this machine and its data may be opened.
        architecture: one of `architectures`, for weights without a config.
        data_set: one of `published_data`, likewise.
        packages: names of the packages whose classes its config may name.

    Raises:
        InputError: if it cannot be read, does not fit, or does not name its network.
    """
    status = path.stat()
    source = Source(path, status.st_mtime_ns, status.st_size, trusted, architecture, data_set, packages)
    with LOADING:
        try:
            return _read(source)
        except InputError as error:
            raise InputError(str(error).replace(str(path), f"the file {path.name}")) from error


class Source(NamedTuple):
    """What a network is read from; another one if the file has changed.

    Attributes:
        path: the file.
        changed: time of its last change.
        length: in bytes.
        trusted: whether a training here wrote it.
        architecture: of weights without a config.
        data_set: that such weights were trained on.
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
        with isolated():
            if "counts" in state and config_text(path):
                return Network(_run(source, {**content, "state_dict": state}))
            return Network(_foreign(path, source.architecture, source.data_set))
    except torch_files.UNREADABLE as error:
        raise InputError(f"{path} is not of a network that `ltr` can build ({first_line(error)}).") from error


def _run(source: Source, content: dict[str, Any]) -> Predictor:
    """Return the network of a checkpoint of a run, with the adjustments of its config."""
    config = description.load(own_config(source.path, source.packages))
    if not {"model", "data"} <= config.keys():
        raise InputError(f"the config of {source.path} does not name its network.")
    if base_weights.KEY in content and not source.trusted:  # which would read files, or download some
        raise InputError(
            f"{source.path} has only what its training changed: `ltr export --to checkpoint` makes it whole."
        )
    method, trainer = trained(config["model"], content), config.get("trainer") or {}
    look = method.preprocessing
    if look is not None and max(look.size, look.side) > LARGEST:
        raise InputError(
            f"images of {max(look.size, look.side)} pixels are too large for this page; {LARGEST} is the most."
        )
    kept = ("accelerator", "precision") if source.trusted else ("precision",)  # others have other machines
    predictor = Predictor(
        method,
        name=_name(source.path),
        adjustments=adjustments_of(trainer.get("callbacks")),
        data=(lambda: build(LongTailed, config["data"])) if source.trusted else None,
        config={"trainer": {key: trainer[key] for key in kept if trainer.get(key)}},
        path=source.path,
    )
    _ = predictor.preprocessing  # raises if the file has none
    return predictor


def _foreign(path: Path, architecture: str | None, data_set: str | None) -> Predictor:
    """Return the network of weights without a config."""
    sets = published_data()
    if architecture not in architectures() or data_set not in sets:
        raise InputError(
            f"{path} does not name its network: choose its architecture and the data set it was trained on."
        )
    assert architecture is not None
    assert data_set is not None
    kind, names = sets[data_set], list[str]()
    with suppress(InputError, OSError):  # the files of the data set need not be here
        names = list(kind().read()[1])
    backbone = Pretrained(str(path), getattr(backbones, architecture)(), "all")
    classifier = backbone.load()
    classes = len(next(iter(classifier.values()), names))
    if names and len(names) != classes:
        raise InputError(f"the classifier in {path} has {classes} classes, {data_set} has {len(names)}.")
    method = Method(backbone, [1] * classes)
    method.start(classifier)
    method.preprocessing = Preprocessing(size=kind.size, crop=kind.crop, mean=kind.mean, std=kind.std)
    method.classes = names
    return Predictor(method, name=_name(path), path=path)


def _name(path: Path) -> str:
    """Return the name of a run, or of a file of weights."""
    return path.parent.name if path.name == CHECKPOINT else path.name
