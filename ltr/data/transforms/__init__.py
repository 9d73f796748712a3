"""Augmentation of whole batches with tensor operations: no image passes through PIL."""

from ltr.data.transforms.auto_augment import AutoAugment
from ltr.data.transforms.chain import Chain
from ltr.data.transforms.color_jitter import ColorJitter
from ltr.data.transforms.crop_flip import CropFlip
from ltr.data.transforms.cutout import Cutout
from ltr.data.transforms.plain import Plain
from ltr.data.transforms.rand_augment import RandAugment
from ltr.data.transforms.resized_crop import ResizedCrop
from ltr.data.transforms.rotation import Rotation
from ltr.data.transforms.sade_view import SADEView
from ltr.data.transforms.simclr_view import SimCLRView
from ltr.data.transforms.views import Views

__all__ = [
    "AutoAugment",
    "Chain",
    "ColorJitter",
    "CropFlip",
    "Cutout",
    "Plain",
    "RandAugment",
    "ResizedCrop",
    "Rotation",
    "SADEView",
    "SimCLRView",
    "Views",
]
