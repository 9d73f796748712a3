"""Backbones: images to features."""

from ltr.backbones.adapt_former import AdaptFormer
from ltr.backbones.bilateral import Bilateral
from ltr.backbones.depth_fusion import DepthFusion
from ltr.backbones.lora import LoRA
from ltr.backbones.multi_expert import MultiExpert
from ltr.backbones.open_clip import OpenCLIP
from ltr.backbones.pretrained import Pretrained
from ltr.backbones.resnet_cifar import ResNet20, ResNet32, ResNet44, ResNet56, ResNetCIFAR
from ltr.backbones.timm import Timm
from ltr.backbones.torchvision import ResNet10, ResNet50, ResNet152, ResNeXt50, Torchvision

__all__ = [
    "AdaptFormer",
    "Bilateral",
    "DepthFusion",
    "LoRA",
    "MultiExpert",
    "OpenCLIP",
    "Pretrained",
    "ResNeXt50",
    "ResNet10",
    "ResNet20",
    "ResNet32",
    "ResNet44",
    "ResNet50",
    "ResNet56",
    "ResNet152",
    "ResNetCIFAR",
    "Timm",
    "Torchvision",
]
