"""iNaturalist 2018, from the files of the competition or from lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from ltr.contracts import Transform
from ltr.data.text_lists import TextLists
from ltr.data.transforms import ResizedCrop
from ltr.errors import InputError


class INaturalist2018(TextLists):
    """iNaturalist 2018: 8,142 species, as long-tailed as they were seen; tested on the 24,426 validation images.

    `root` holds `train_val2018/<group>/<category>/`. The splits are read from `train2018.json` and `val2018.json` of
    the competition where they are, else from `iNaturalist18_train.txt` and `iNaturalist18_val.txt`; a fingerprint is
    the same either way. The JSON names the classes; it does so obscurely until its `categories` are replaced by those
    that were published later. There is no third split to follow in training.

    Layout and numbers were taken from the sources below, and tried on small files of that layout, not on the set.

    The arguments are those of `TextLists`.

    Reference:
        Van Horn et al., "The iNaturalist Species Classification and Detection Dataset", CVPR 2018,
        https://arxiv.org/abs/1707.06642; visipedia/inat_comp, 2018/README.md, for format and numbers. Lists, constants
        and augmentation: facebookresearch/classifier-balancing, data/iNaturalist18 and data/dataloader.py.
    """

    name = "iNaturalist 2018"
    prefix = "iNaturalist18"
    official: ClassVar[Mapping[str, int]] = {"classes": 8142, "train": 437_513, "test": 24_426}
    source = (
        "unpack train2018.json and val2018.json of the competition, to which visipedia/inat_comp has the links, or "
        "take the lists in data/iNaturalist18 of facebookresearch/classifier-balancing"
    )
    mean = (0.466, 0.471, 0.380)
    std = (0.195, 0.194, 0.192)

    def usual_augment(self) -> Transform:
        """Return random parts of the image resized, and mirror images."""
        return ResizedCrop(self.crop, flip=self.mirror)

    def labelled(self, split: str) -> tuple[dict[str, int], dict[int, str]]:
        """Return the labels of the images of a split by their names, and the names of classes by their labels."""
        published = {"train": "train", "test": "val"}[split]
        path = self.lists / f"{published}2018.json"
        return read_annotations(path, self.official["classes"]) if path.is_file() else super().labelled(published)


def read_annotations(path: Path, classes: int) -> tuple[dict[str, int], dict[int, str]]:
    """Return the labels of images by their names, and the names of categories, from JSON in the manner of COCO.

    Args:
        path: of a file with `images`, `annotations` and `categories`.
        classes: how many there can be.

    Raises:
        InputError: if it is not such a file, or an image has no label, more than one, or one that there is not.
    """
    try:
        content = json.loads(path.read_bytes())
        names = {image["id"]: image["file_name"] for image in content["images"]}
        pairs = [(names[row["image_id"]], row["category_id"]) for row in content["annotations"]]
        categories = {category["id"]: str(category["name"]) for category in content["categories"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is truncated or not a file of annotations ({error!r}): unpack it again.") from error
    labels = dict(pairs)
    if not 0 < len(labels) == len(pairs) == len(content["images"]):
        raise InputError(
            f"{path} has {len(content['images'])} images and {len(pairs)} annotations of {len(labels)} of them, but "
            "every image has one: unpack it again."
        )
    for name, label in labels.items():
        if label not in range(classes):
            raise InputError(
                f"{path} has the category {label} for {name}, but the last of {classes} is {classes - 1}: it is a file "
                "of another set."
            )
    return labels, categories
