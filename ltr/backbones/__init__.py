"""Backbones: images to features."""

from ltr.backbones.bilateral import Bilateral
from ltr.backbones.multi_expert import MultiExpert
from ltr.backbones.pretrained import Pretrained
from ltr.backbones.resnet_cifar import ResNet20, ResNet32, ResNet44, ResNet56, ResNetCIFAR

__all__ = ["Bilateral", "MultiExpert", "Pretrained", "ResNet20", "ResNet32", "ResNet44", "ResNet56", "ResNetCIFAR"]
