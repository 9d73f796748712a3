"""The form of a tuning, and the study that it stands for."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltr import trust
from ltr.app.allowed_paths import AllowedPaths
from ltr.app.catalogue import TAILS, architectures, one_of, tuning_data, tuning_losses
from ltr.app.field import number, seed
from ltr.app.job import beside
from ltr.app.training import refuse_outside
from ltr.cli import configs
from ltr.counts import imbalance_factor
from ltr.errors import InputError
from ltr.heads import ExpertHeads
from ltr.run import description
from ltr.run.checkpoint_config import config_text
from ltr.run.folder import BEFORE, RunFolder
from ltr.runs import word

CONTROL = "logit_adjustment"
# Arguments of the data that the tuning sets itself.
OTHERS = ("batch_size", "eval_batch_size", "drop_last", "sampler", "augment")
UNNAMED = re.compile(r"[^A-Za-z0-9_+.-]+")
BATCH, USUAL_BATCH = 512, 128  # of gml.yaml, and of base.yaml


@dataclass(frozen=True, kw_only=True)
class TuningForm:
    """The values of the form of a tuning. `study` checks them.

    Attributes:
        base: name of the run that is tuned; empty for a file.
        file: path of a file of weights.
        architecture: of its backbone, for a file without a config.
        kind: class of the data; empty for the data of the base.
        root: folder of the images; empty for the default.
        imbalance: N_max / N_min, or its inverse.
        tail: shape of the tail.
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
    tail: str = "exp"
    loss: str = "GML"
    epochs: object = 40
    rate: object = 0.1
    batch: object = BATCH
    seed: object = 0
    name: str = ""

    def study(self, paths: AllowedPaths) -> dict[str, Any]:
        """Return the study that tunes, and tests the network before, after, and with logit adjustment.

        The network before the tuning becomes its own run, of which nothing is trained. So all results are of the
        same test images, whatever the base is, and nothing is written into the folder of the base.

        Returns:
            The content of a study file.

        Raises:
            InputError: if a value of the form is not valid.
        """
        before = self.name + BEFORE
        for folder in (paths.new(self.name), paths.new(before)):
            if RunFolder(folder).exists:
                raise InputError(f"the run {folder.name} exists already: choose another name.")
        checkpoint, config = self.start(paths)
        start = ["--model.backbone.checkpoint", checkpoint]
        architecture = one_of(self.architecture, architectures(), "architecture")
        if not config.get("model"):
            start += ["--model.backbone.backbone", architecture]
        images = [*self.data(paths, config), "--data.batch_size", number("the batch size", self.batch, 1, 2**16)]
        settings = [
            *("--model.optimizer.lr", number("the learning rate", self.rate, 0, 100, whole=False)),
            *("--trainer.max_epochs", number("the number of epochs", self.epochs, 1, 10_000)),
            *("--seed_everything", seed(self.seed)),
        ]
        trusted = paths.trust_words
        tuned = ["--config", "gml.yaml", *start, *self.criterion(config), *images, *settings, *trusted]
        return beside(
            {
                self.name: {"title": "tuning", "fit": tuned, "test": trusted},
                before: {
                    "title": "network before",
                    "fit": ["--config", "pretrained.yaml", *start, *images, *trusted],
                    "test": trusted,
                },
                CONTROL: {
                    "title": "logit adjustment",
                    "of": before,
                    "test": ["--config", "logit_adjustment.yaml", *trusted],
                },
            }
        )

    def start(self, paths: AllowedPaths) -> tuple[str, dict[str, Any]]:
        """Return the path of the weights, and the config beside or in them; empty if there is none."""
        if self.file:
            path = paths.inside(self.file)
            if not path.is_file():
                raise InputError(f"{self.file} is a folder: give the path of the file of weights.")
            config = config_of(path, paths.packages)
            for text in () if paths.trusts(path) else texts(config.get("data")):
                refuse_outside(paths, text)
            return str(path), config
        run = paths.run(self.base)
        if not run.checkpoint.is_file():
            raise InputError(f"the run {self.base} has no weights, only results: choose another run.")
        folder = paths.runs / self.base
        return str(folder) if folder.is_dir() else self.base, config_of(run.checkpoint, paths.packages)

    def criterion(self, config: Mapping[str, Any]) -> list[str]:
        """Return the arguments for the loss; for a head with several experts, it is computed for each."""
        loss = one_of(self.loss, tuning_losses(), "tuning loss")
        if config.get("model"):
            _, head = configs.network(config["model"])
            if description.class_name(head) == ExpertHeads.__name__:
                return ["--model.loss", "PerExpert", "--model.loss.losses", json.dumps([f"ltr.losses.{loss}"])]
        return ["--model.loss", loss]

    def data(self, paths: AllowedPaths, config: Mapping[str, Any]) -> list[str]:
        """Return the arguments for the data: those of the base, or others."""
        if not self.kind:
            data = config.get("data")
            if not isinstance(data, Mapping) or not data.get("class_path"):
                raise InputError("the file does not name the data it was trained on: choose a data set.")
            options = {key: value for key, value in description.settings(data).items() if key not in OTHERS}
            name = str(data["class_path"]).removeprefix("ltr.data.")
        else:
            name = one_of(self.kind, tuning_data(), "data set")
            tail = one_of(self.tail, TAILS, "shape of the tail")
            options = {"root": str(paths.inside(self.root))} if self.root else {}
            options |= {"imbalance": factor(self.imbalance)} if tail != "none" else {}
            options["tail"] = tail
        words = [(f"--data.{key}", word(key, value)) for key, value in options.items() if value is not None]
        return ["--data", name, *(part for option in words for part in option)]


def config_of(checkpoint: Path, packages: Collection[str] = ()) -> dict[str, Any]:
    """Return what the config that belongs to a checkpoint says of network and data; empty if there is none.

    Raises:
        InputError: if it names what may not be built.
    """
    text = config_text(checkpoint)
    config: dict[str, Any] = description.load(trust.checked(text, checkpoint, packages, trust.NETWORK)) if text else {}
    return config


def texts(content: Any) -> Iterator[str]:
    """Yield all texts in nested content."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for item in content.values() if isinstance(content, dict) else content:
            yield from texts(item)


def factor(imbalance: object) -> float:
    """Return N_max / N_min, from it or its inverse.

    Raises:
        InputError: if it is not a valid factor.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the inverse, which the field allows
        return imbalance_factor(float(number("the imbalance factor", imbalance, 0, 1e6, whole=False)))


def proposed(paths: AllowedPaths, base: str, loss: str) -> str:
    """Return an unused name for a tuning.

    Args:
        paths: with the folder of the runs.
        base: name of the run, or path of the file, that is tuned.
        loss: class of the tuning loss.
    """
    stem = UNNAMED.sub("_", Path(base).stem or "run").strip("_.+-")[:50] or "run"
    name, taken = f"{stem}_{str(loss).lower()}", 1
    while any((paths.runs / f"{name}{end}").exists() for end in ("", BEFORE)):
        taken += 1
        name = f"{stem}_{str(loss).lower()}_{taken}"
    return name


def proposed_batch(config: Mapping[str, Any]) -> int:
    """Return a batch size: that of gml.yaml, or that of the base if it is smaller than usual, for a small data set."""
    batch = description.settings(config.get("data")).get("batch_size", USUAL_BATCH)
    return batch if isinstance(batch, int) and 0 < batch < USUAL_BATCH else BATCH
