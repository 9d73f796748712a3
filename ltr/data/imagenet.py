"""ImageNet-LT, as Liu et al. published it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ltr.data.text_lists import TextLists


class ImageNetLT(TextLists):
    """ImageNet with a long tail: 1,000 classes of 5 to 1,280 training images; tested on the 50,000 of ImageNet's `val`.

    `root` is a folder of ILSVRC 2012 with `train/<wnid>/` and `val/<wnid>/`; ImageNet's own `val/` is flat, and has to
    be sorted into folders first. The lists are `ImageNet_LT_train.txt`, `ImageNet_LT_val.txt` (20 images of each class
    from ImageNet's `train/`, followed in training) and `ImageNet_LT_test.txt`.

    Layout and numbers were taken from the sources below, and tried on small files of that layout, not on ImageNet.

    The arguments are those of `TextLists`.

    Reference:
        Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019, https://arxiv.org/abs/1904.05160;
        official code zhmiao/OpenLongTailRecognition-OLTR. Lists, constants and augmentation:
        facebookresearch/classifier-balancing, data/ImageNet_LT and data/dataloader.py. Numbers: tensorflow/datasets,
        imagenet_lt.
    """

    name = "ImageNet-LT"
    prefix = "ImageNet_LT"
    official: ClassVar[Mapping[str, int]] = {"classes": 1000, "train": 115_846, "val": 20_000, "test": 50_000}
    source = "it is in data/ImageNet_LT of facebookresearch/classifier-balancing"
