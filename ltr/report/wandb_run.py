"""The figures of a run in its Weights & Biases run."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from lightning.pytorch.loggers import WandbLogger
from matplotlib.figure import Figure

from ltr import files
from ltr.report.figures import STYLE, drawn, training
from ltr.run.evaluation import EvaluationResult
from ltr.run.folder import RunFolder


def log_training(logger: WandbLogger, folder: Path) -> None:
    """Log the curves of a training that has ended, from its folder, and end its run."""
    experiment = logger.experiment
    with matplotlib.rc_context(STYLE):
        figure = training(RunFolder(folder).curves)
    _log(experiment, "training", {"curves": figure} if figure else {})
    experiment.finish()


def kept(folder: Path) -> dict[str, str]:
    """Return the `id` and the `project` of the run of a training, as options of its logger; none where not kept."""
    path = RunFolder(folder).wandb_file
    return files.read_json(path) if path.is_file() else {}


def log_test(logger: WandbLogger, run: Path, evaluation: Path) -> None:
    """Log the figures and measures of a test to the run of its training; do nothing where the id was not kept.

    Args:
        logger: as the config of the run has it, with the options that `kept` returns.
        run: folder of the checkpoint that was tested.
        evaluation: folder of the test.
    """
    if not kept(run):
        return
    one = EvaluationResult.read(evaluation)
    measures = {key: value for key, value in one.scalars.items() if value is not None}
    with matplotlib.rc_context(STYLE):
        _log(logger.experiment, one.name, drawn(one), measures)
    logger.experiment.finish()


def _log(
    experiment: Any, name: str, figures: Mapping[str, Figure], measures: Mapping[str, float] | None = None
) -> None:
    """Log figures and measures under the name of an evaluation."""
    import wandb
    from PIL import Image

    content: dict[str, Any] = {f"evaluations/{name}/{key}": value for key, value in (measures or {}).items()}
    for title, figure in figures.items():
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=110)
        content[f"figures/{name}/{title}"] = wandb.Image(Image.open(picture))
    if content:
        experiment.log(content)
