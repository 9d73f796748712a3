"""Data: files to batches."""

from ltr.data.base import LongTailed
from ltr.data.cifar import CIFAR10LT, CIFAR100LT
from ltr.data.digits import DigitsLT
from ltr.data.synthetic import Synthetic
from ltr.data.transforms import CropFlip, Plain

__all__ = ["CIFAR10LT", "CIFAR100LT", "CropFlip", "DigitsLT", "LongTailed", "Plain", "Synthetic"]
