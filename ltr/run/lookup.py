"""Find recipes, runs and weights by name or path; those of the package in a clone, an editable install and a wheel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from ltr.errors import InputError
from ltr.run import hub
from ltr.run.folder import CHECKPOINT, RunFolder, plain_name
from ltr.sentences import did_you_mean

PACKAGE = Path(__file__).resolve().parent.parent


def folder(kind: Literal["configs", "checkpoints"]) -> Path:
    """Return where recipes (`configs`) or weights (`checkpoints`) lie: in the wheel, else beside the package."""
    inside = PACKAGE / kind
    return inside if inside.is_dir() else PACKAGE.parent / kind


def config(name: str) -> Path:
    """Return the YAML file of that path, or the shipped one of that name (`gml.yaml`, `data/digits.yaml`).

    Raises:
        InputError: if there is neither, with the nearest name.
    """
    if os.path.isfile(name):  # `is_file` of a path raises an error if a name is too long
        return Path(name)
    home = folder("configs")
    inner = name.removeprefix("configs/")
    if os.path.isfile(home / inner):
        return home / inner
    known = [path.relative_to(home).as_posix() for path in sorted(home.rglob("*.yaml"))]
    raise InputError(f"there is no config {name}{did_you_mean(inner, known)}")


def homes() -> tuple[Path, Path]:
    """Return the folders in which a run is found by its name: that of the user, then that of the package."""
    return Path("checkpoints"), folder("checkpoints")


def checkpoint(name: str) -> Path:
    """Return the weights file of that path, or the last checkpoint of the run of that name.

    A run may be a folder, one below `checkpoints/` here, one that is shipped, or one of the Hugging Face Hub
    (`hf://user/name`).

    Raises:
        InputError: if there is none, with the nearest name.
    """
    if name.startswith(hub.PREFIX):
        return hub.download(name)
    for start in (Path(name), *(home / name for home in homes())):
        for path in (start, RunFolder(start).checkpoint):
            if os.path.isfile(path):
                return path
    known = [path.parent.name for home in homes() for path in home.glob(f"*/{CHECKPOINT}")]
    raise InputError(f"there is no checkpoint {name}{did_you_mean(name, known)}")


def run(name: str) -> RunFolder:
    """Return the run of that folder, of that checkpoint, or of that name below `checkpoints/` here or shipped.

    Its weights need not be there: curves or the metrics of an evaluation are enough.

    Raises:
        InputError: if there is none, with the nearest name.
    """
    given = Path(name).parent if os.path.isfile(name) else Path(name)
    for candidate in map(RunFolder, (given, *(home / name for home in homes()))):
        if os.path.isdir(candidate.path) and candidate.exists:
            return candidate
    known = [path.name for home in homes() for path in home.glob("*") if RunFolder(path).exists]
    raise InputError(f"there is no run {name}{did_you_mean(name, known)}")


def evaluation_folder(checkpoint: Path, runs: str | None, evaluation: str) -> Path:
    """Return the folder of an evaluation of a checkpoint.

    It is beside the checkpoint. The evaluations of a shipped run, and of one of the Hub, are below the user's runs.

    Args:
        checkpoint: the checkpoint.
        runs: the folder in which runs are kept; None for `checkpoints`.
        evaluation: the name of the evaluation.

    Raises:
        InputError: if the name is empty or a path.
    """
    home, own, shipped = checkpoint.parent, Path(runs or "checkpoints"), folder("checkpoints").resolve()
    name = hub.repository(checkpoint)
    if home.resolve().is_relative_to(shipped) and own.resolve() != shipped:
        name = home.name
    return (own / name if name else home) / plain_name(evaluation, "--evaluation")
