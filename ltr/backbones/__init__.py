"""Backbones: images to features."""

from ltr.backbones.bilateral import Bilateral
from ltr.backbones.pretrained import Pretrained
from ltr.backbones.resnet_cifar import ResNet20, ResNet32, ResNet44, ResNet56, ResNetCIFAR

__all__ = ["Bilateral", "Pretrained", "ResNet20", "ResNet32", "ResNet44", "ResNet56", "ResNetCIFAR"]
