"""An evaluation is a folder in that of its run: the names of its files, and the result of a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ltr import files
from ltr.errors import InputError, advice
from ltr.measures import MEASURES
from ltr.run import description

METRICS, PREDICTIONS, PREDICTIONS_TABLE = "metrics.json", "predictions.pt", "predictions.csv"
SUBMISSION, CONFORMAL = "submission.csv", "conformal.json"
ARGUMENTS = "arguments.json"
# Everything that `ltr` writes into the folder of an evaluation.
EVALUATION_FILES = (
    *(METRICS, PREDICTIONS, PREDICTIONS_TABLE, SUBMISSION, "confusion.png", "recall.png", ARGUMENTS),
    *(CONFORMAL, "sets.pt", "shifts.csv", "shifts.md", "shifts.png"),
)
# A folder in a run that has one of these is an evaluation.
RESULTS = (METRICS, PREDICTIONS, CONFORMAL, "shifts.csv")
ANEW = "Delete it, or test the run again."
TEST = "test"  # the evaluation that stands for a run
NO_MEASURES = ("seed", "params", "seconds", "floor")  # numbers beside the measures of an evaluation


@dataclass(frozen=True)
class EvaluationResult:
    """The result of a test.

    Attributes:
        name: of the evaluation, which is that of its folder.
        folder: where its files are.
        metrics: the content of its `metrics.json`.
    """

    name: str
    folder: Path
    metrics: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> EvaluationResult:
        """Read the result of a test.

        Raises:
            InputError: if its metrics are missing or damaged.
        """
        path = folder / METRICS
        with advice(ANEW):
            metrics = files.read_json(path)
        if not _is_result(metrics):
            raise InputError(f"{path} is damaged: it is not the result of a test. {ANEW}")
        return cls(folder.name, folder, metrics)

    @property
    def scalars(self) -> dict[str, float | None]:
        """Every measure that is a number; None if there was nothing to measure."""
        kinds = (int, float, type(None))
        return {
            key: value
            for key, value in self.metrics.items()
            if isinstance(value, kinds) and not isinstance(value, bool) and key not in NO_MEASURES
        }

    @property
    def counts(self) -> list[int]:
        """Training images per class."""
        return list(self.metrics["counts"])

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return list(map(str, self.metrics["classes"]))

    @property
    def adjustments(self) -> str:
        """The adjustments at test time, in words."""
        return description.adjustments(self.metrics["adjustments"])

    @cached_property
    def predictions(self) -> dict[str, Any]:
        """The content of `predictions.pt`, empty if it is not there.

        Raises:
            InputError: if it is damaged.
        """
        from ltr.run import torch_files  # torch, which the page must not wait for

        path = self.folder / PREDICTIONS
        return torch_files.read(path) if path.is_file() else {}

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments with which a study trained and tested it, empty if none did."""
        return read_arguments(self.folder) or {}


def _is_result(metrics: Mapping[str, Any]) -> bool:
    """Return whether the content of a `metrics.json` has the types of the result of a test."""
    kinds = {"counts": list, "recall": list, "classes": list, "adjustments": list, "config": dict}
    if not all(isinstance(metrics.get(key), kind) for key, kind in kinds.items()):
        return False
    measured = [*(metrics.get(key) for key in MEASURES), *metrics["recall"]]
    return (
        all(value is None or type(value) in (int, float) for value in measured)
        and all(type(count) is int for count in metrics["counts"])
        and len(metrics["counts"]) == len(metrics["recall"]) == len(metrics["classes"])
        and all(isinstance(item, dict) for item in metrics["adjustments"])
        and isinstance(metrics.get("data", {}), dict)
    )


def read_arguments(folder: Path) -> dict[str, Any] | None:
    """Return the arguments that gave the result in a folder, None if it does not have them.

    Raises:
        InputError: if they are damaged.
    """
    path = folder / ARGUMENTS
    if not path.is_file():
        return None
    with advice(f"Delete it if you know that {folder} was made with the same arguments, else delete {folder}."):
        return files.read_json(path)


def made_with(folder: Path, arguments: Mapping[str, Any]) -> bool:
    """Return whether these arguments gave the result in a folder, True if it does not have its arguments."""
    return read_arguments(folder) in (None, arguments)


def write_arguments(folder: Path, arguments: Mapping[str, Any]) -> None:
    """Write the arguments that gave the result in a folder."""
    files.write_json(folder / ARGUMENTS, dict(arguments), checksum=True)
