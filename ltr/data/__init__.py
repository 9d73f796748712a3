"""Data: files to batches."""

from ltr.data.base import LongTailed
from ltr.data.cifar import CIFAR10LT, CIFAR100LT
from ltr.data.digits import DigitsLT
from ltr.data.folder import FolderLT
from ltr.data.shifts import Shift
from ltr.data.synthetic import Synthetic
from ltr.data.transforms import (
    AutoAugment,
    Chain,
    ColorJitter,
    CropFlip,
    Cutout,
    Plain,
    RandAugment,
    Rotation,
    SADEView,
    SimCLRView,
    Views,
)

__all__ = [
    "CIFAR10LT",
    "CIFAR100LT",
    "AutoAugment",
    "Chain",
    "ColorJitter",
    "CropFlip",
    "Cutout",
    "DigitsLT",
    "FolderLT",
    "LongTailed",
    "Plain",
    "RandAugment",
    "Rotation",
    "SADEView",
    "Shift",
    "SimCLRView",
    "Synthetic",
    "Views",
]
