"""The verb `ltr predict --images`: classify new images and write the predictions."""

from __future__ import annotations

import warnings

from ltr import files
from ltr.errors import InputError
from ltr.predictor.images import Images, Unreadable
from ltr.predictor.predictor import Predictor
from ltr.run import lookup
from ltr.run.evaluation import PREDICTIONS, PREDICTIONS_TABLE, SUBMISSION
from ltr.run.predictions import TOP
from ltr.sentences import first, plural


def predict(
    predictor: Predictor,
    *,
    images: list[str],
    column: str | None = None,
    folder: str | None = None,
    unreadable: Unreadable = "refuse",
    top: int = TOP,
    submission: bool = False,
    evaluation: str = "predict",
) -> None:
    """Classify images without labels, of any size and kind; the images of the training are not needed.

    It writes `predictions.csv`, with the most probable classes of each image and their probabilities, and
    `predictions.pt`, with all probabilities. Options such as `--config ensemble.yaml` change the network as in a test.

    Args:
        predictor: the run.
        images: image files, folders (with all images below them), or tables that name images.
        column: column of a table that names the images.
        folder: folder that the names in a table are relative to; that of the table by default.
        unreadable: `refuse` files that cannot be read, or `skip` them.
        top: how many classes the table has for each image.
        submission: also write `submission.csv`, with the name and the class of each image, as competitions want it.
        evaluation: folder of the predictions, in that of the run.

    Raises:
        InputError: if an image cannot be read, or there is none.
    """
    if top < 1:
        raise InputError(f"--top is at least 1; it cannot be {top}.")
    assert predictor.path is not None
    home = lookup.evaluation_folder(predictor.path, predictor.config.get("runs"), evaluation)
    asked = Images.of(images, column=column, folder=folder)
    found = predictor.predict(asked, unreadable=unreadable, progress=True)
    if found.unreadable:
        left_out = first([f"{name} {reason}" for name, reason in found.unreadable], 3)
        warnings.warn(f"{plural(len(found.unreadable), 'image')} left out: {left_out}.", stacklevel=2)
    written = [PREDICTIONS_TABLE, PREDICTIONS]
    with files.together():
        found.write(home, top=top)
        if submission:
            options = (predictor.config.get("data") or {}).get("init_args") or {}
            found.write_submission(home, (asked.column, options.get("label") or "label"))
            written.append(SUBMISSION)
    print(f"{home}: {', '.join(written)} of {plural(len(found), 'image')}")
