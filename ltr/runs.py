"""Train, test and use runs from Python with the arguments of the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike

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
from ltr.predictor.images import Given, Unreadable
from ltr.process_state import isolated
from ltr.run import lookup
from ltr.run.folder import RunFolder
from ltr.run.predictions import Predictions

Argument = str | PathLike[str] | Mapping[str, object]


def build(
    *arguments: Argument, name: str | None = None, runs: str | PathLike[str] | None = None, overwrite: bool = False
) -> Run:
    """Build what `ltr fit` trains with the same arguments.

    Args:
        *arguments: configs by name or path (`"ce.yaml"`), and mappings of options to values. Values and order are those
            of the command line: the class of a part comes before its options, as in
            `{"model.loss": "LDAM", "model.loss.margin": 0.3, "trainer.max_epochs": 30}`.
        name: the name of the run; by default that of its config.
        runs: the folder in which the runs are kept; by default `checkpoints`.
        overwrite: whether to replace a run of the same name, once the first epoch of this one is over.

    Returns:
        The run, not yet trained, with its images read.

    Raises:
        InputError: for what the command line refuses, with the same sentence.
    """
    options = {"name": name, "runs": runs}
    given = {option: value for option, value in options.items() if value is not None}
    with isolated():
        command = Command("fit", [*words(*arguments, given), *(["--overwrite"] if overwrite else [])], tell=False)
        command.datamodule.trainer = command.trainer  # which knows the device
        command.datamodule.prepare_data()
        command.datamodule.setup()
    return Run(command, RunFolder(command.folder))


def load(run: str | PathLike[str], *arguments: Argument) -> Run:
    """Load a trained run: its network and its adjustments. Its images are read when `data` is first used.

    Args:
        run: its name, its folder or its checkpoint.
        *arguments: further arguments of `ltr predict`, as in `build`: `"ensemble.yaml"`, `{"data.root": "elsewhere"}`.

    Raises:
        InputError: for what the command line refuses, with the same sentence.
    """
    changes = list(words(*arguments))
    return Run(load_predictor(str(run), changes), RunFolder(lookup.checkpoint(str(run)).parent), changes)


class Run:
    """A run, as `build` and `load` return it.

    Attributes:
        folder: the path of its folder, as the command line has it.
        checkpoint: the path of its weights, which are there once it is trained.
        model: its network, head and loss; in evaluation mode after `load`.
        trainer: the trainer of `fit`; after `load` one that only knows the device and the precision.
    """

    def __init__(self, source: Command | Predictor, run: RunFolder, changes: Sequence[str] = ()) -> None:
        self._source, self._run, self._changes = source, run, changes
        self.folder, self.checkpoint = run.path, run.checkpoint
        if isinstance(source, Predictor) and source.path is not None:
            self.checkpoint = source.path
        self.model: Method = source.model if isinstance(source, Command) else source.method
        self.trainer: Trainer = source.trainer
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
        """Train as `ltr fit` does, and return the run.

        Raises:
            InputError: if it is trained already, or for bad input that shows in training only.
        """
        if isinstance(self._source, Predictor) or self.trainer.state.fn is not None:
            raise InputError(f"the run {self.folder} is trained already: build it again to train it again.")
        for module, mode in self._modes:  # predictions may have changed them
            module.training = mode
        try:
            with isolated():
                self._source.start()
        except SystemExit as end:  # Lightning's reaction to an interrupt, which would end a notebook and not the cell
            raise KeyboardInterrupt from end
        return self

    def test(self, *arguments: Argument, evaluation: str | None = None) -> Report:
        """Test the trained run as `ltr test` does, and write the same files.

        Args:
            *arguments: further arguments, as in `build`: `"logit_adjustment.yaml"`.
            evaluation: the folder of the test, in that of the run; by default `test`.

        Raises:
            InputError: if the run is not trained, or for what the command line refuses.
        """
        given = {} if evaluation is None else {"evaluation": evaluation}
        changes = [*self._changes, *words(*arguments, given)]
        with isolated():
            command = Command("test", [f"--ckpt_path={self.checkpoint}", *changes], tell=False)
            command.start()
        report: Report = command.model.reports["test"]
        return report

    def predict(self, images: Given | Iterable[Given], *, unreadable: Unreadable = "refuse") -> Predictions:
        """Classify images as `ltr predict` does.

        Args:
            images: as for `Predictor.predict`: paths, PIL images or uint8 tensors; one or several.
            unreadable: `refuse` images that cannot be read, or `skip` them.

        Returns:
            The predictions: `top(5)` are the most probable classes of each image, `probabilities` (N, C) all.

        Raises:
            InputError: if the run is not trained, or an image cannot be read.
        """
        return self.predictor.predict(images, unreadable=unreadable)

    def output(self, images: Tensor) -> Output:
        """Return the adjusted logits and the features for a batch of images (B, 3, size, size) uint8.

        Raises:
            InputError: if the run is not trained, or for other tensors.
        """
        return self.predictor.output(images)

    @cached_property
    def predictor(self) -> Predictor:
        """The trained network, as it was loaded or as it is in the checkpoint.

        Raises:
            InputError: if the run is not trained.
        """
        if isinstance(self._source, Predictor):
            return self._source
        return load_predictor(str(self.checkpoint), self._changes)

    @property
    def curves(self) -> dict[str, list[float]]:
        """The measures of every epoch by `split/measure`, from `metrics.csv`; NaN if one was not measured.

        Raises:
            InputError: if they are damaged.
        """
        rows = RunFolder(self.folder).curves  # as they are now
        keys = dict.fromkeys(key for row in rows for key in row)
        return {key: [row.get(key, math.nan) for row in rows] for key in keys}


def words(*arguments: Argument) -> Iterator[str]:
    """Yield configs and mappings of options to values as words of the command line.

    Raises:
        InputError: for a value that the command line cannot express.
    """
    for argument in arguments:
        if isinstance(argument, Mapping):
            yield from (f"--{option}={word(option, value)}" for option, value in argument.items())
        else:
            yield from ("--config", str(argument))


def word(option: str, value: object) -> str:
    """Return a value as a word of the command line."""
    if isinstance(value, str | PathLike):
        return str(value)
    try:
        return json.dumps(value)
    except TypeError as error:
        raise InputError(
            f"{option} is given a Python object: give the name of its class and then its options, as on the command "
            f'line: {{"{option}": "Name", "{option}.option": 1}}.'
        ) from error
