"""Runs from Python, in the words of the command line: what it trains, tests and predicts with, as live objects."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path

from lightning.pytorch import Trainer
from torch import Tensor

from ltr.cli.call import load as load_predictor
from ltr.cli.command import Command
from ltr.contracts import Output
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.methods import Method
from ltr.metrics import Report
from ltr.predictor import Predictor
from ltr.process_state import isolated
from ltr.run import lookup
from ltr.run.folder import RunFolder

Part = str | PathLike[str] | Mapping[str, object]


def build(
    *parts: Part, name: str | None = None, runs: str | PathLike[str] | None = None, overwrite: bool = False
) -> Run:
    """Build what `ltr fit` trains when it is given the same words.

    Args:
        *parts: configs by name or path (`"ce.yaml"`), and mappings of options to values, which are written as on the
            command line and have its order: the class of a part comes before its options, as in
            `{"model.loss": "LDAM", "model.loss.margin": 0.3, "trainer.max_epochs": 30}`.
        name: of the run; else that of its config.
        runs: folder in which the runs are kept; else `checkpoints`.
        overwrite: whether a run of the same name is replaced, once the first epoch of this one is over.

    Returns:
        The run, not yet trained, with its images read.

    Raises:
        InputError: where the command line would say the same.
    """
    said = {"name": name, "runs": runs}
    last = {option: value for option, value in said.items() if value is not None}
    with isolated():
        command = Command("fit", [*words(*parts, last), *(["--overwrite"] if overwrite else [])], tell=False)
        command.datamodule.trainer = command.trainer  # which knows the device
        command.datamodule.prepare_data()
        command.datamodule.setup()
    return Run(command, RunFolder(command.folder).checkpoint)


def load(run: str | PathLike[str], *parts: Part) -> Run:
    """Load a trained run: its network and its adjustments; its images are read when `data` is first used.

    Args:
        run: its name, its folder or its checkpoint.
        *parts: what `ltr predict` may be told besides, as in `build`: `"ensemble.yaml"`, `{"data.root": "elsewhere"}`.

    Raises:
        InputError: where the command line would say the same.
    """
    said = list(words(*parts))
    return Run(load_predictor(str(run), said), lookup.checkpoint(str(run)), said)


class Run:
    """A run, as `build` and `load` make it.

    Attributes:
        checkpoint: where its weights are once it is trained.
        folder: where it is kept, as the command line keeps it.
        model: its network, head and loss, after `load` in evaluation mode.
        trainer: what trains it, or asked it.
    """

    def __init__(self, source: Command | Predictor, checkpoint: Path, said: Sequence[str] = ()) -> None:
        self.checkpoint, self.folder = checkpoint, checkpoint.parent
        self.model: Method = source.model if isinstance(source, Command) else source.method
        self.trainer: Trainer = source.trainer
        self._source, self._said = source, said
        self._modes = [(module, module.training) for module in self.model.modules()]

    @cached_property
    def data(self) -> LongTailed:
        """Its images.

        Raises:
            InputError: if they are missing.
        """
        if isinstance(self._source, Predictor):
            with isolated():
                return self._source.read_data()
        data: LongTailed = self._source.datamodule
        return data

    def fit(self) -> Run:
        """Train, and return the run; its folder is then that of `ltr fit`.

        Raises:
            InputError: where it has been trained, or something is wrong that shows in training only.
        """
        if isinstance(self._source, Predictor) or self.trainer.state.fn is not None:
            raise InputError(f"the run {self.folder} is trained already: build it again to train it again.")
        for module, mode in self._modes:  # predictions may have changed them
            module.training = mode
        try:
            with isolated():
                self._source.start()
        except SystemExit as end:  # how Lightning leaves when it is interrupted, which would end more than a cell
            raise KeyboardInterrupt from end
        return self

    def test(self, *parts: Part, evaluation: str | None = None) -> Report:
        """Measure the trained run on its test split, with all that `ltr test` writes.

        Args:
            *parts: what else the command line would be told, as in `build`: `"logit_adjustment.yaml"`.
            evaluation: the folder in that of the run; else `test`.

        Raises:
            InputError: where the run is not trained, or the command line would say the same.
        """
        last = {} if evaluation is None else {"evaluation": evaluation}
        with isolated():
            command = Command("test", [f"--ckpt_path={self.checkpoint}", *self._said, *words(*parts, last)], tell=False)
            command.start()
        report: Report = command.model.reports["test"]
        return report

    def predict(self, images: Tensor) -> Output:
        """Answer images as `ltr predict` answers those of the test split: normalised, adjusted, in its precision.

        Args:
            images: (B, 3, H, W) uint8, of the size of those in `data.splits`.

        Returns:
            What the trained network says; `probabilities` are (B, C).

        Raises:
            InputError: where the run is not trained.
        """
        return self.predictor.predict(images)

    @cached_property
    def predictor(self) -> Predictor:
        """The trained network: what was loaded, else what is in the checkpoint.

        Raises:
            InputError: where the run is not trained.
        """
        return self._source if isinstance(self._source, Predictor) else load_predictor(str(self.checkpoint), self._said)

    @property
    def curves(self) -> dict[str, list[float]]:
        """What was measured in every epoch, by `split/measure`, from `metrics.csv`; NaN where it was not measured."""
        rows = RunFolder(self.folder).rows
        return {key: [float(row[key] or math.nan) for row in rows] for key in rows[0]}


def words(*parts: Part) -> Iterator[str]:
    """Yield the words of the command line for configs and mappings of options to values.

    Raises:
        InputError: for a value that no word stands for.
    """
    for part in parts:
        if not isinstance(part, Mapping):
            yield from ("--config", str(part))
            continue
        for option, value in part.items():
            yield f"--{option}={word(option, value)}"


def word(option: str, value: object) -> str:
    """Return a value as the command line takes it."""
    if isinstance(value, str | PathLike):
        return str(value)
    try:
        return json.dumps(value)
    except TypeError as error:
        raise InputError(
            f"{option} is given an object of Python; say it as the command line does, the name of a class and then "
            f'its options: {{"{option}": "Name", "{option}.option": 1}}.'
        ) from error
