"""What a test has fitted to the images of a run, used where these images are missing."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ltr import files
from ltr.callbacks import Adjustment, Conformal
from ltr.errors import InputError
from ltr.run import lookup, safetensors_files
from ltr.run.evaluation import CONFORMAL, TEST, EvaluationResult
from ltr.run.folder import RunFolder


class Fitted:
    """The values that a test of a run has fitted, with the same weights, data and callbacks.

    Args:
        path: the checkpoint of the run.
        config: the resolved config of the evaluation that needs the values.
        state: the weights of the run.
    """

    def __init__(self, path: Path, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        self.path, self.config, self.weights = path, config, safetensors_files.digest(state)

    def restore(self, part: Adjustment | Conformal, position: int, error: InputError) -> None:
        """Give an adjustment, or prediction sets, the values that a test has fitted.

        Args:
            part: what needs the images of the run.
            position: its place among the adjustments.
            error: why there are no images.

        Raises:
            InputError: if no such test was made, or its results are damaged.
        """
        name = type(part).__name__
        if not part.fitted:
            raise InputError(f"{error} {name} reads the images of the run.") from error
        test = self.test
        if test is None:
            command = shlex.join(["ltr", "test", "--ckpt_path", str(self.path)])
            raise InputError(
                f"{error} {name} is fitted to images of the run: run `{command}` with the same "
                "adjustments once where they are. The fitted values are kept in the folder of the run, and used where "
                "the images are missing."
            ) from error
        try:
            if isinstance(part, Conformal):
                settings = files.read_json(test.folder / CONFORMAL)
            else:
                settings = test.metrics["adjustments"][position][name]
            for key in part.fitted:
                setattr(part, key, finite(settings[key], len(test.counts)))
        except (InputError, ValueError, LookupError, TypeError) as damage:
            raise InputError(f"the results in {test.folder} are damaged: test the run again.") from damage

    @property
    def test(self) -> EvaluationResult | None:
        """The test with the same weights, data and callbacks; None if there is none."""
        home = lookup.evaluation_folder(self.path, self.config.get("runs"), TEST).parent
        return next((test for test in RunFolder(home).evaluations if self.alike(test)), None)

    def alike(self, test: EvaluationResult) -> bool:
        """Return whether a test had the same weights, data and callbacks."""
        other = test.metrics["config"]
        return (
            test.metrics.get("weights") == self.weights
            and other.get("data") == self.config.get("data")
            and callbacks(other) == callbacks(self.config)
        )


def callbacks(config: Mapping[str, Any]) -> Any:
    """Return the callbacks in a resolved config."""
    return (config.get("trainer") or {}).get("callbacks")


def finite(value: Any, classes: int) -> float | Tensor:
    """Return a number, or a tensor of one number or of one for each class, in float64.

    Raises:
        ValueError: if it is something else, or not finite.
    """
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) not in (1, classes) or not all(map(math.isfinite, numbers)):
        raise ValueError(value)
    return torch.tensor(numbers, dtype=torch.float64) if isinstance(value, list) else float(value)
