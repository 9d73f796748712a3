"""Augmentation of whole batches with tensor operations, without PIL."""

from ltr.data.transforms.auto_augment import AutoAugment
from ltr.data.transforms.color_jitter import ColorJitter
from ltr.data.transforms.compose import Compose, MultiView, Plain
from ltr.data.transforms.crop_flip import CropFlip
from ltr.data.transforms.cutout import Cutout
from ltr.data.transforms.rand_augment import RandAugment
from ltr.data.transforms.resized_crop import ResizedCrop
from ltr.data.transforms.rotation import Rotation
from ltr.data.transforms.sade_view import SADEView
from ltr.data.transforms.simclr_view import SimCLRView

__all__ = [
    "AutoAugment",
    "ColorJitter",
    "Compose",
    "CropFlip",
    "Cutout",
    "MultiView",
    "Plain",
    "RandAugment",
    "ResizedCrop",
    "Rotation",
    "SADEView",
    "SimCLRView",
]
