"""Data: files to batches."""

from ltr.data.annotated import AnnotatedLT
from ltr.data.base import LongTailed
from ltr.data.cifar import CIFAR10LT, CIFAR100LT
from ltr.data.cui import CuiCIFAR10LT, CuiCIFAR100LT
from ltr.data.digits import DigitsLT
from ltr.data.file_dataset import FileDataset
from ltr.data.folder import FolderLT
from ltr.data.hub import HubLT
from ltr.data.inaturalist import INaturalist2018
from ltr.data.shifts import Shift
from ltr.data.synthetic import Synthetic
from ltr.data.table import TableLT
from ltr.data.text_lists import ImageNetLT, PlacesLT
from ltr.data.transforms import (
    AutoAugment,
    ColorJitter,
    Compose,
    CropFlip,
    Cutout,
    MultiView,
    Plain,
    RandAugment,
    ResizedCrop,
    Rotation,
    SADEView,
    SimCLRView,
)

__all__ = [
    "CIFAR10LT",
    "CIFAR100LT",
    "AnnotatedLT",
    "AutoAugment",
    "ColorJitter",
    "Compose",
    "CropFlip",
    "CuiCIFAR10LT",
    "CuiCIFAR100LT",
    "Cutout",
    "DigitsLT",
    "FileDataset",
    "FolderLT",
    "HubLT",
    "INaturalist2018",
    "ImageNetLT",
    "LongTailed",
    "MultiView",
    "PlacesLT",
    "Plain",
    "RandAugment",
    "ResizedCrop",
    "Rotation",
    "SADEView",
    "Shift",
    "SimCLRView",
    "Synthetic",
    "TableLT",
]
