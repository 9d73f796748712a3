"""`ltr predict` of the test split of a run, or of new images."""

from __future__ import annotations

from pathlib import Path

from ltr import predictor
from ltr.apart import apart
from ltr.cli import words
from ltr.cli.perform import perform
from ltr.cli.trained import call_with_run


def predict(arguments: list[str]) -> None:
    """Predict new images if `--images` names some, else the test split of a run.

    A folder of images without class folders, given as the data, is new images, too.

    Args:
        arguments: what follows the verb.

    Raises:
        InputError: for bad input.
    """
    new = [root for root in words.values(arguments, "data.root")[-1:] if is_flat(Path(root))]
    if new:
        arguments = [*words.without(arguments, "data.root"), "--images", *new]
    if "images" not in [option.name for option in words.options(arguments)]:
        perform("predict", arguments)
        return
    with apart():
        call_with_run(predictor.predict, arguments)


def is_flat(folder: Path) -> bool:
    """Return whether a folder has files and no folders; hidden ones do not count."""
    inside = [path for path in folder.iterdir() if path.name[0] != "."] if folder.is_dir() else []
    return bool(inside) and not any(path.is_dir() for path in inside)
