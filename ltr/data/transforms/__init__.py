"""Augmentation of whole batches with tensor operations, without PIL."""

from ltr.data.transforms.auto_augment import AutoAugment
from ltr.data.transforms.color_jitter import ColorJitter
from ltr.data.transforms.compose import Compose, MultiView, Plain
from ltr.data.transforms.crops import CropFlip, ResizedCrop
from ltr.data.transforms.cutout import Cutout
from ltr.data.transforms.rand_augment import RandAugment
from ltr.data.transforms.views import SADEView, SimCLRView
from ltr.data.transforms.warp import Rotation

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
