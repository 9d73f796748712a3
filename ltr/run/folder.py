"""A run is a folder: the names of its files, what counts as a run, what may be replaced, what is read from it."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ltr.errors import InputError
from ltr.run import lookup, weights

CHECKPOINT, CONFIG, CURVES = "last.ckpt", "config.yaml", "metrics.csv"
METRICS, PREDICTIONS, PREDICTIONS_TABLE = "metrics.json", "predictions.pt", "predictions.csv"
ARGUMENTS = "arguments.json"
WANDB = "wandb.json"
# Everything that `ltr` writes into the folder of a run, and into the folder of each evaluation in it.
RUN_FILES = (CHECKPOINT, CONFIG, CURVES, WANDB, "grid.csv", "front.png")
EVALUATION_FILES = (
    *(METRICS, PREDICTIONS, PREDICTIONS_TABLE, "confusion.png", "recall.png", ARGUMENTS),
    *("conformal.json", "sets.pt", "shifts.csv", "shifts.md", "shifts.png"),
)
# A folder in a run that has one of these is an evaluation.
RESULTS = (METRICS, PREDICTIONS, "conformal.json", "shifts.csv")
PLAIN_NAME = re.compile(r"[^\s./\\][^/\\\x00-\x1f]{0,199}(?<!\s)")

ASIDE = ("seed", "params", "seconds", "floor")
USUAL = "test"

Row = Mapping[str, float]


def plain_name(name: str, what: str) -> str:
    """Return the name of a run, an evaluation or a study, which names one folder.

    Args:
        name: as the user gave it.
        what: the option or key that gives it, for the error.

    Raises:
        InputError: for an empty name, a path, or a name that begins with a dot.
    """
    if not PLAIN_NAME.fullmatch(name):
        raise InputError(
            f"{what} cannot be {name!r}: give the name of one folder, without slashes and with no dot at its beginning "
            "(`--runs` takes a path)."
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
            InputError: where the name is empty or a path.
        """
        return cls(Path(runs) / plain_name(name, "--name"))

    @property
    def checkpoint(self) -> Path:
        """Path of its last checkpoint."""
        return self.path / CHECKPOINT

    @property
    def exists(self) -> bool:
        """Whether the folder is a run: it has a checkpoint, curves, or the metrics of an evaluation."""
        own = (self.checkpoint, self.path / CURVES)
        return any(path.is_file() for path in own) or any(self.path.glob(f"*/{METRICS}"))

    def check_writable(self, *, overwrite: bool) -> None:
        """Refuse to begin a run where another one, or something else, would be lost.

        Args:
            overwrite: whether a run may be replaced.

        Raises:
            InputError: where there is a run and it may not be replaced, or the folder is no run.
        """
        if self.exists and not overwrite:
            raise InputError(
                f"the run {self.path} exists already: choose another `--name`, resume it with `--ckpt_path "
                "last`, or replace it with `--overwrite`."
            )
        if self.exists or not self.path.exists():
            return
        if not self.path.is_dir() or (self.path / CONFIG).exists():
            what = f"has a {CONFIG} and is no run of `ltr`" if self.path.is_dir() else "is a file"
            raise InputError(f"{self.path} {what}: remove it, or choose another `--name`.")
        if overwrite and any(self.path.iterdir()):
            raise InputError(
                f"{self.path} is no run of `ltr`, so `--overwrite` does not replace it: choose another `--name`, or "
                "leave out `--overwrite` to add a run to what is in the folder."
            )

    @property
    def files(self) -> list[Path]:
        """The files that `ltr` wrote: of the run, then of its evaluations. Files of others are not among them."""
        inner = [path for path in sorted(self.path.glob("*/")) if not path.is_symlink()]
        evaluations = [path for path in inner if any((path / name).is_file() for name in RESULTS)]
        own = [self.path / name for name in RUN_FILES]
        own += [path / name for path in evaluations for name in EVALUATION_FILES]
        return [path for path in own if path.is_file()]

    def delete(self) -> None:
        """Delete the files of the run, then its folders where nothing else is in them.

        Raises:
            InputError: where the folder is no run.
        """
        if not self.exists:
            raise InputError(f"{self.path} is no run of `ltr`, so nothing in it is deleted.")
        files = self.files
        for path in files:
            path.unlink()
        for folder in sorted({path.parent for path in files} | {self.path}, reverse=True):  # evaluations first
            if not folder.is_symlink() and not any(folder.iterdir()):
                folder.rmdir()


@dataclass(frozen=True)
class Evaluated:
    """An evaluation of a run.

    Attributes:
        name: of its folder.
        folder: where its `metrics.json` is.
        metrics: what it holds.
    """

    name: str
    folder: Path
    metrics: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Evaluated:
        """Read an evaluation.

        Raises:
            InputError: where its metrics are damaged.
        """
        path = folder / "metrics.json"
        try:
            metrics = json.loads(path.read_text(encoding="utf-8"))
            return cls(folder.name, folder, {**metrics, "counts": [*metrics["counts"]], "recall": [*metrics["recall"]]})
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged: delete it, or test the run again.") from error

    @property
    def scalars(self) -> dict[str, float | None]:
        """Every measure that is a number; None where there was nothing to measure."""
        kinds = (int, float, type(None))
        return {
            key: value
            for key, value in self.metrics.items()
            if isinstance(value, kinds) and not isinstance(value, bool) and key not in ASIDE
        }

    @property
    def counts(self) -> list[int]:
        """Training images per class."""
        return list(self.metrics["counts"])

    @property
    def classes(self) -> list[str]:
        """Names of the classes; their numbers in an old file without names."""
        return [str(name) for name in self.metrics.get("classes", range(len(self.counts)))]

    @property
    def adjustments(self) -> str:
        """What was varied at test time, in words."""
        each = [(name, settings) for part in self.metrics.get("adjustments", []) for name, settings in part.items()]
        words = [f"{name}({', '.join(f'{key} {value}' for key, value in said.items())})" for name, said in each]
        return ", ".join(words)

    @cached_property
    def predictions(self) -> dict[str, Any]:
        """The content of `predictions.pt`, empty where it is not there.

        Raises:
            InputError: where it is damaged.
        """
        path = self.folder / "predictions.pt"
        return weights.read(str(path)) if path.is_file() else {}

    @property
    def arguments(self) -> Mapping[str, Sequence[str] | None]:
        """With which words a study trained and tested it; empty where none did."""
        note = self.folder / "arguments.json"
        return dict(json.loads(note.read_text(encoding="utf-8"))) if note.is_file() else {}


@dataclass(frozen=True)
class Finished:
    """A run.

    Attributes:
        name: what it is called on the page.
        folder: where it is.
        evaluations: all of them, the usual one first.
        curves: the measures of each epoch, those that were measured.
        text: its resolved config as YAML.
    """

    name: str
    folder: Path
    evaluations: tuple[Evaluated, ...]
    curves: tuple[Row, ...]
    text: str

    @classmethod
    def read(cls, name: str) -> Finished:
        """Read a run by its name or folder.

        Raises:
            InputError: where there is none, or its files are damaged.
        """
        folder = lookup.run(name)
        found = sorted(folder.glob("*/metrics.json"), key=lambda path: (path.parent.name != USUAL, path.parent.name))
        evaluations = tuple(Evaluated.read(path.parent) for path in found)
        config, curves = folder / "config.yaml", folder / "metrics.csv"
        text = config.read_text(encoding="utf-8") if config.is_file() else ""
        if not text and evaluations and evaluations[0].metrics.get("config"):
            text = yaml.safe_dump(evaluations[0].metrics["config"], sort_keys=False)
        return cls(folder.resolve().name, folder, evaluations, read_curves(curves) if curves.is_file() else (), text)

    @property
    def main(self) -> Evaluated | None:
        """The evaluation that stands for the run: `test`, else the first; None where it was never tested."""
        return self.evaluations[0] if self.evaluations else None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config."""
        content = yaml.safe_load(self.text) if self.text else {}
        return content if isinstance(content, dict) else {}

    @property
    def again(self) -> str:
        """The command that makes the run again, empty where its folder does not know it."""
        fit = self.main.arguments.get("fit") if self.main else None
        name = ("--name", f"{self.name}_again")
        if fit:
            return _command("fit", *fit, "--seed_everything", str(self.config.get("seed_everything", 0)), *name)
        if (self.folder / "config.yaml").is_file():
            return _command("fit", "--config", str(self.folder / "config.yaml"), *name)
        return ""

    def test(self, evaluation: Evaluated | None) -> str:
        """Return the command that tests the run as it was tested, or for the first time."""
        name = evaluation.name if evaluation else USUAL
        words = [*(evaluation.arguments.get("test") or ())] if evaluation else []
        named = [] if name == USUAL else ["--evaluation", name]
        return _command("test", "--ckpt_path", str(self.folder), *named, *words)


def read_curves(path: Path) -> tuple[Row, ...]:
    """Read curves; what was not measured in an epoch is not in its row.

    Raises:
        InputError: where the file is damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return tuple({key: float(value) for key, value in row.items() if value} for row in csv.DictReader(lines))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged: delete it, or train the run again.") from error


def _command(*words: str) -> str:
    """Return a command as it is typed."""
    return shlex.join(["ltr", *words])
