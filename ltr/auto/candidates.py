"""The heads of a grid, and the commands that make one of them again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ltr.auto.timing import trial
from ltr.callbacks.head_grid import OLD_HEAD
from ltr.cli import arguments
from ltr.errors import InputError
from ltr.run import torch_files
from ltr.run.folder import RIGHT
from ltr.studies.grid import tables
from ltr.studies.runs import Perform

ADJUSTED = "logit adjustment"  # the adjustment that stands beside the choice
# The head that is taken if choosing does not pay; tests/benchmarks/README.md has what always taking it costs.
DEFAULT, DEFAULT_LR = "GML", 0.1
LEAST_EPOCHS = 3  # of a head


class Candidate(NamedTuple):
    """A head of the grid.

    Attributes:
        name: of its loss or adjustment in the config of the grid, or `old head`.
        lr: learning rate; None for the old head, adjusted or not.
        t_old: temperature of the old head in an ensemble with it; None for the head alone.
    """

    name: str
    lr: float | None
    t_old: float | None

    @property
    def title(self) -> str:
        """What it is, in words."""
        if self.name == OLD_HEAD:
            return "plain cross-entropy"
        ensemble = f", with the old head at temperature {self.t_old:g}" if self.t_old else ""
        return self.name + (f", learning rate {self.lr:g}" if self.lr else "") + ensemble


def default_head(candidates: Sequence[Candidate]) -> int:
    """Return the place of the default head: GML alone, with the learning rate nearest to 0.1."""
    far = {
        place: abs(math.log(one.lr / DEFAULT_LR))
        for place, one in enumerate(candidates)
        if one.name == DEFAULT and one.lr is not None and one.t_old is None
    }
    return min(far, key=far.__getitem__)


class Grid:
    """The grid of heads of a network.

    Args:
        config: its config, by name or path.
        folder: where its tables are.
        words: arguments of its tuning besides the config.
        perform: runs a verb with its arguments.
        split: the images to measure the heads on.

    Raises:
        InputError: if it is not the config of a grid.
    """

    def __init__(
        self, config: str, folder: Path, words: Sequence[str], perform: Perform, split: Literal["val", "test"] = "val"
    ) -> None:
        self.config, self.folder, self.words, self.perform, self.split = config, folder, [*words], perform, split
        trainer = _mapping(arguments.read(config).get("trainer"))
        self.epochs: int | None = trainer.get("max_epochs")
        callbacks = trainer.get("callbacks")
        last = callbacks[-1] if isinstance(callbacks, list) and callbacks else {}
        options = _mapping(_mapping(last).get("init_args"))
        self.losses, self.adjustments = _mapping(options.get("losses")), _mapping(options.get("adjustments"))
        if ADJUSTED not in self.adjustments or DEFAULT not in self.losses:
            raise InputError(
                f"{config} is no grid of heads with the loss `{DEFAULT}` and the adjustment `{ADJUSTED}`: start from "
                "auto.yaml."
            )

    @property
    def grid_words(self) -> list[str]:
        """The arguments of the tuning that trains the grid."""
        return ["--config", self.config, f"--trainer.callbacks.splits=[{self.split}]", *self.words]

    def epochs_within(self, seconds: float, images: int) -> int:
        """Return how many epochs of the heads of one seed fit into a time, three at least, measured on a few batches.

        Args:
            seconds: the time.
            images: training images of an epoch.
        """
        words = [*self.grid_words, "--trainer.callbacks.seeds=[0]", "--seed_everything", "0"]
        with trial(words, self.folder) as run:
            whole, training = torch_files.read(run.checkpoint)["seconds"], torch_files.read(run.path / RIGHT)
        rest = whole - training["seconds"]  # reading the features and measuring the heads
        epoch = training["seconds"] / training["images"] * images
        return max(int((seconds - rest) / epoch), LEAST_EPOCHS)

    def cut(self, epochs: int) -> bool:
        """Train the heads for at most so many epochs; return whether that is fewer than the config says."""
        if self.epochs is not None and epochs >= self.epochs:
            return False
        self.words += ["--trainer.max_epochs", str(epochs)]
        return True

    def train(self, seeds: Sequence[int]) -> tuple[list[Candidate], Tensor, Tensor]:
        """Train the heads of some seeds, as far as they are not there.

        Returns:
            The K candidates, (K, S, N) whether each recognises a validation image with each seed, and the labels (N,).
        """
        rows = tables(self.folder, seeds, self.grid_words, self.perform)[0]
        parts = [torch_files.read(self.folder / str(seed) / RIGHT) for seed in seeds]
        right = torch.stack([part["right"] for part in parts], 1)
        return [Candidate(row["loss"], row["lr"], row["t_old"]) for row in rows], right, parts[0]["labels"]

    def fit(self, candidate: Candidate) -> list[str] | None:
        """Return the arguments with which `ltr fit` trains a head, None if it is the old one."""
        if candidate.lr is None:
            return None
        loss = self.losses[candidate.name]
        loss = loss if isinstance(loss, str) else json.dumps(loss)
        words = ["--config", self.config, "--trainer.callbacks", "[]", *self.words, "--model.loss", loss]
        return [*words, "--model.optimizer.lr", f"{candidate.lr:g}"]

    def callbacks(self, candidate: Candidate) -> list[dict[str, Any]]:
        """Return the adjustments that a test of a candidate needs."""
        if candidate.t_old is not None:
            return [{"class_path": "ltr.callbacks.TemperatureEnsemble", "init_args": {"t_old": candidate.t_old}}]
        return [self.adjustments[candidate.name]] if candidate.name in self.adjustments else []


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping of a config, and an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}
