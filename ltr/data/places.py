"""Places-LT, as Liu et al. published it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ltr.data.text_lists import TextLists


class PlacesLT(TextLists):
    """Places365 with a long tail: 365 classes of 5 to 4,980 training images; tested on the 36,500 of Places' `val`.

    The lists are `Places_LT_train.txt`, `Places_LT_val.txt` (20 images of each class, followed in training) and
    `Places_LT_test.txt`. There are two kinds of them for the two archives of Places365-Standard: the authors' own name
    `data_256/a/airfield/00004851.jpg` and `val_256/Places365_val_00003597.jpg`, those of Kang et al.
    `train/airfield/00004851.jpg` and `val/airfield/Places365_val_00003597.jpg`. Either is read, and `root` is where its
    paths start; the same split has another fingerprint under other names.

    Layout and numbers were taken from the sources below, and tried on small files of that layout, not on Places.

    The arguments are those of `TextLists`.

    Reference:
        Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019, https://arxiv.org/abs/1904.05160;
        official code zhmiao/OpenLongTailRecognition-OLTR. Lists, constants and augmentation:
        facebookresearch/classifier-balancing, data/Places_LT and data/dataloader.py.
    """

    name = "Places-LT"
    prefix = "Places_LT"
    official: ClassVar[Mapping[str, int]] = {"classes": 365, "train": 62_500, "val": 7_300, "test": 36_500}
    source = "it is in data/Places_LT of facebookresearch/classifier-balancing"
