"""Find the recipes and weights that come with the package, in a clone, an editable install and a wheel alike."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ltr.errors import InputError, did_you_mean
from ltr.run import hub

PACKAGE = Path(__file__).resolve().parent.parent
LAST = "last.ckpt"


def folder(kind: Literal["configs", "checkpoints"]) -> Path:
    """Return where recipes (`configs`) or weights (`checkpoints`) lie: in the wheel, else beside the package."""
    inside = PACKAGE / kind
    return inside if inside.is_dir() else PACKAGE.parent / kind


def config(name: str) -> Path:
    """Return the YAML file of that path, or the shipped one of that name (`gml.yaml`, `data/digits.yaml`).

    Raises:
        InputError: where there is neither, with the nearest name.
    """
    if Path(name).is_file():
        return Path(name)
    home = folder("configs")
    inner = name.removeprefix("configs/")
    if (home / inner).is_file():
        return home / inner
    known = [path.relative_to(home).as_posix() for path in sorted(home.rglob("*.yaml"))]
    raise InputError(f"there is no config {name}{did_you_mean(inner, known)}")


def checkpoint(name: str) -> Path:
    """Return the weights file of that path, or the last checkpoint of the run of that name.

    A run may be a folder, one below `checkpoints/` here, one that is shipped, or one of the Hugging Face Hub
    (`hf://user/name`).

    Raises:
        InputError: where there is none, with the nearest name.
    """
    if name.startswith(hub.PREFIX):
        return hub.download(name)
    home = folder("checkpoints")
    for path in (Path(name), Path(name) / LAST, Path("checkpoints") / name / LAST, home / name, home / name / LAST):
        if path.is_file():
            return path
    known = [path.parent.name for path in [*home.glob(f"*/{LAST}"), *Path("checkpoints").glob(f"*/{LAST}")]]
    raise InputError(f"there is no checkpoint {name}{did_you_mean(name, known)}")


def run(name: str) -> Path:
    """Return the folder of a run: that folder, that of its checkpoint, one below `checkpoints/` here, or a shipped one.

    Its weights need not be there: curves or the metrics of an evaluation are enough.

    Raises:
        InputError: where there is none, with the nearest name.
    """
    homes = (Path("checkpoints"), folder("checkpoints"))
    given = Path(name).parent if Path(name).is_file() else Path(name)
    for path in (given, *(home / name for home in homes)):
        if _has_results(path):
            return path
    known = [path.name for home in homes for path in home.glob("*") if _has_results(path)]
    raise InputError(f"there is no run {name} with curves or an evaluation{did_you_mean(name, known)}")


def _has_results(path: Path) -> bool:
    """Tell whether a folder is that of a run."""
    return (path / "metrics.csv").is_file() or any(path.glob("*/metrics.json"))
