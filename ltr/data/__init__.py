"""Data: files to batches."""

from ltr.data.base import LongTailed
from ltr.data.cifar import CIFAR10LT, CIFAR100LT
from ltr.data.cui import CuiCIFAR10LT, CuiCIFAR100LT
from ltr.data.digits import DigitsLT
from ltr.data.folder import FolderLT
from ltr.data.imagenet import ImageNetLT
from ltr.data.inaturalist import INaturalist2018
from ltr.data.places import PlacesLT
from ltr.data.synthetic import Synthetic
from ltr.data.transforms import (
    AutoAugment,
    Chain,
    ColorJitter,
    CropFlip,
    Cutout,
    Plain,
    RandAugment,
    ResizedCrop,
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
    "CuiCIFAR10LT",
    "CuiCIFAR100LT",
    "Cutout",
    "DigitsLT",
    "FolderLT",
    "INaturalist2018",
    "ImageNetLT",
    "LongTailed",
    "PlacesLT",
    "Plain",
    "RandAugment",
    "ResizedCrop",
    "Rotation",
    "SADEView",
    "SimCLRView",
    "Synthetic",
    "Views",
]
