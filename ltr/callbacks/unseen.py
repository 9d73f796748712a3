"""Images of a split on which a network was trained."""

from __future__ import annotations

import torch
from lightning.pytorch.utilities import rank_zero_warn

from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.methods.base import BaseMethod
from ltr.sentences import plural


class NotUnseenError(InputError):
    """There is no validation split that the network is known not to have been trained on."""


def check_unseen(method: BaseMethod, data: LongTailed) -> None:
    """Raise unless there is a validation split that no training of the network has used.

    The trainings of the backbone, of the head, of a teacher and of earlier stages count. A validation image with a copy
    in the present training split is not counted: it is a duplicate within the data set, of which CIFAR has some, not a
    leak between the splits of two trainings.

    Raises:
        NotUnseenError: if there is no such split.
    """
    if "val" not in data.splits:
        raise NotUnseenError("there is no validation split: train with `--data.val_per_class`.")
    record, images = method.training_record, data.contents("val")
    if record.overlap(images):
        images = images[~torch.isin(images, data.contents("train"))]
    seen = record.overlap(images)
    if seen is None:
        raise NotUnseenError(
            "it is not known whether the network was trained on the validation split: train backbone, head and teacher "
            "with `ltr` and the same `--data.val_per_class`."
        )
    if seen:
        raise NotUnseenError(
            f"the network was trained on {seen:,} of the {plural(len(data.splits['val'].labels), 'image')} of the "
            "validation split: train backbone, head and teacher with the same `--data.val_per_class`."
        )


def count_seen(method: BaseMethod, data: LongTailed, name: str) -> int | None:
    """Count the images of a split that the network was trained on, and warn if there are some.

    It finds equal files, and equal pixels of images in memory, but not resized, recoded or similar images.

    Returns:
        The number; None if there are none, but not all training images are known.
    """
    record = method.training_record
    if not len(record.images):  # the result is known without reading all files
        return 0 if record.complete else None
    seen = record.overlap(data.contents(name))
    if seen:
        rank_zero_warn(
            f"the network was trained on {seen:,} of the {plural(len(data.splits[name].labels), 'image')} of the "
            f"{name} split, so its figures there do not hold for new images."
        )
    return seen
