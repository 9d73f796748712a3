"""A run is a folder: the names of its files, what counts as a run, what may be replaced, what is read from it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ltr.errors import InputError
from ltr.files import is_temporary
from ltr.run import description, side_files
from ltr.run.evaluation import EVALUATION_FILES, METRICS, RESULTS, TEST, EvaluationResult
from ltr.run.lock import Lock

CHECKPOINT, PREVIOUS, CONFIG, CURVES = "last.ckpt", "previous.ckpt", "config.yaml", "metrics.csv"
WANDB = "wandb.json"
GRID, RIGHT = "grid.csv", "right.pt"  # of a grid of heads: its table, and which images each head recognises
# Everything that `ltr` writes into the folder of a run, besides its evaluations.
RUN_FILES = (CHECKPOINT, CURVES, PREVIOUS, CONFIG, WANDB, GRID, RIGHT, "front.png")
BEFORE = "_before"  # suffix of the run that holds a network before its tuning
LOCKS = ".locks"  # the folder of all locks, beside the runs
PLAIN_NAME = re.compile(r"[^\s./\\][^/\\\x00-\x1f]*(?<!\s)")
LONGEST = 200  # bytes of a name: file systems take 255, and files beside a run have longer names

Row = Mapping[str, float]


def plain_name(name: str, what: str) -> str:
    """Return the name of a run, an evaluation or a study, which names one folder.

    Args:
        name: as the user gave it.
        what: the option or key that gives it, for the error.

    Raises:
        InputError: for an empty name, a path, or a name that begins with a dot.
    """
    if not PLAIN_NAME.fullmatch(name) or len(os.fsencode(name)) > LONGEST:
        raise InputError(
            f"{what} cannot be {name!r}: give the name of one folder of at most {LONGEST} bytes, without slashes and "
            "with no dot at its beginning (`--runs` takes a path)."
        )
    return name


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, whether it is there or not.

    Attributes:
        path: the folder.
    """

    path: Path

    @classmethod
    def of(cls, runs: str | Path, name: str) -> RunFolder:
        """Return the folder of the run of a name.

        Args:
            runs: the folder in which runs are kept.
            name: of the run, one plain name.

        Raises:
            InputError: if the name is empty or a path.
        """
        return cls(Path(runs) / plain_name(name, "--name"))

    @property
    def name(self) -> str:
        """Its name."""
        return self.path.resolve().name

    @property
    def checkpoint(self) -> Path:
        """Path of its last checkpoint."""
        return self.path / CHECKPOINT

    @property
    def config_file(self) -> Path:
        """Path of its resolved config."""
        return self.path / CONFIG

    @property
    def curves_file(self) -> Path:
        """Path of the measures of its epochs."""
        return self.path / CURVES

    @property
    def wandb_file(self) -> Path:
        """Path of the id of its Weights & Biases run."""
        return self.path / WANDB

    @property
    def weights(self) -> tuple[Path, Path]:
        """Paths of its last checkpoint and of the one before."""
        return self.path / CHECKPOINT, self.path / PREVIOUS

    @property
    def lock(self) -> Lock:
        """The lock that a process holds while it writes the run or one of its evaluations."""
        path = self.path.resolve()  # one lock, whatever the run is called
        return Lock(path.parent / LOCKS / path.name, f"the run {self.path}")

    @property
    def before(self) -> RunFolder:
        """The run of the network before a tuning, which a tuning of the page makes beside this one."""
        return RunFolder(self.path.with_name(self.name + BEFORE))

    @property
    def exists(self) -> bool:
        """Whether the folder is a run: it has a checkpoint, curves, or the metrics of an evaluation."""
        return self.checkpoint.is_file() or self.curves_file.is_file() or any(self.path.glob(f"*/{METRICS}"))

    def tested(self, evaluation: str = TEST) -> bool:
        """Return whether it has the metrics of an evaluation."""
        return (self.path / evaluation / METRICS).is_file()

    @cached_property
    def config_text(self) -> str:
        """Its resolved config as YAML; empty if the folder does not have it.

        It is the file of the run, else the text in its checkpoint, else that in the metrics of its main evaluation. A
        file that is not what the checkpoint was written with is noted.

        Raises:
            InputError: if the metrics are needed and damaged.
        """
        if text := side_files.config_text(self.config_file, self.checkpoint):
            return text
        config = self.main.metrics["config"] if self.main else None
        return yaml.safe_dump(config, sort_keys=False) if config else ""

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its resolved config, empty if the folder does not have it.

        Raises:
            InputError: if it is damaged.
        """
        try:
            content = description.load(self.config_text)
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:  # ValueError: 30 February
            raise InputError(f"the config of {self.path} is not valid YAML: train the run again.") from error
        return content if isinstance(content, dict) else {}

    @property
    def rows(self) -> list[dict[str, str]]:
        """The rows of its curves as text, empty if there are none; what was not measured is empty.

        Raises:
            InputError: if its file is damaged, and it has no checkpoint with the curves.
        """
        return side_files.rows(self.curves_file, self.checkpoint)

    @cached_property
    def curves(self) -> tuple[Row, ...]:
        """The measures of each epoch; what was not measured in an epoch is not in its row.

        Raises:
            InputError: if they are damaged.
        """
        try:
            return tuple({key: float(value) for key, value in row.items() if value} for row in self.rows)
        except (ValueError, TypeError) as error:
            raise InputError(f"{self.curves_file} is damaged: delete it, or train the run again.") from error

    @property
    def trained_epochs(self) -> int:
        """The number of epochs in its curves, 0 if they are damaged."""
        try:
            return len(self.curves)
        except InputError:
            return 0

    @property
    def planned_epochs(self) -> int:
        """The number of epochs in its config, 0 if there is none."""
        try:
            epochs = (self.config.get("trainer") or {}).get("max_epochs")
        except InputError:
            return 0
        return epochs if isinstance(epochs, int) and epochs > 0 else 0

    @cached_property
    def evaluations(self) -> tuple[EvaluationResult, ...]:
        """Its evaluations, the main one first: `test`, else the first by name.

        Raises:
            InputError: if one of them is damaged.
        """
        folders = sorted((path.parent for path in self.path.glob(f"*/{METRICS}")), key=lambda path: path.name)
        return tuple(EvaluationResult.read(path) for path in sorted(folders, key=lambda path: path.name != TEST))

    @property
    def main(self) -> EvaluationResult | None:
        """The evaluation that stands for the run; None if it was never tested."""
        return self.evaluations[0] if self.evaluations else None

    @property
    def measured(self) -> Mapping[str, Any]:
        """The measures of its main evaluation; empty if they are damaged or missing."""
        try:
            return self.main.metrics if self.main else {}
        except InputError:
            return {}

    @property
    def fit_command(self) -> str:
        """The command that makes the run again, empty if its folder does not know it."""
        fit = (self.main.arguments.get("fit") if self.main else None) or ()
        name = ("--name", f"{self.name}_again")
        if "--config" in fit:  # else it may have gone on from a checkpoint, whose config is in the folder
            return _command("fit", *fit, "--seed_everything", str(self.config.get("seed_everything", 0)), *name)
        if self.config_file.is_file():
            return _command("fit", "--config", str(self.config_file), *name)
        return ""

    def test_command(self, evaluation: EvaluationResult | None) -> str:
        """Return the command that repeats an evaluation of the run, or tests it for the first time."""
        name = evaluation.name if evaluation else TEST
        words = [*(evaluation.arguments.get("test") or ())] if evaluation else []
        named = [] if name == TEST else ["--evaluation", name]
        return _command("test", "--ckpt_path", str(self.path), *named, *words)

    def check_writable(self, *, overwrite: bool) -> None:
        """Refuse to begin a run where another one, or something else, would be lost.

        Args:
            overwrite: whether a run may be replaced.

        Raises:
            InputError: if there is a run and it may not be replaced, or the folder is not a run.
        """
        if self.exists and not overwrite:
            raise InputError(
                f"the run {self.path} exists already: choose another `--name`, resume it with `--ckpt_path "
                "last`, or replace it with `--overwrite`."
            )
        if self.exists or not self.path.exists():
            return
        if not self.path.is_dir() or (self.path / CONFIG).exists():
            what = f"has a {CONFIG} and is not a run of `ltr`" if self.path.is_dir() else "is a file"
            raise InputError(f"{self.path} {what}: remove it, or choose another `--name`.")
        if overwrite and not all(map(is_temporary, self.path.iterdir())):
            raise InputError(
                f"{self.path} is not a run of `ltr`, so `--overwrite` does not replace it: choose another `--name`, or "
                "leave out `--overwrite` to add a run to what is in the folder."
            )

    @property
    def files(self) -> list[Path]:
        """The files that `ltr` wrote: of the run, then of its evaluations. Files of others are not among them."""
        inner = [path for path in sorted(self.path.glob("*/")) if not path.is_symlink()]
        evaluations = [path for path in inner if any((path / name).is_file() for name in RESULTS)]
        written = [self.path / name for name in RUN_FILES]
        written += [path / name for path in evaluations for name in EVALUATION_FILES]
        return [path for path in written if path.is_file()]

    @property
    def size(self) -> int:
        """The size of its files in bytes."""
        return sum(path.stat().st_size for path in self.files)

    def delete(self) -> None:
        """Delete the files of the run, then its folders where nothing else is in them.

        Raises:
            InputError: if the folder is not a run.
        """
        if not self.exists:
            raise InputError(f"{self.path} is not a run of `ltr`, so nothing in it is deleted.")
        written = self.files
        for path in reversed(written):  # what makes it a run comes last, so that this can be interrupted and repeated
            path.unlink(missing_ok=True)  # another process of the same run may have done it
        for folder in sorted({path.parent for path in written} | {self.path}, reverse=True):  # evaluations first
            if not folder.is_symlink() and not any(folder.iterdir()):
                folder.rmdir()


def _command(*words: str) -> str:
    """Return a shell command."""
    return shlex.join(["ltr", *words])
