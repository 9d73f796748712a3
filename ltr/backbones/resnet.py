"""The ResNets of torchvision, for the large data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from ltr.contracts import Backbone
from ltr.ranges import Count


class ResNet(Backbone):
    """A ResNet of torchvision with random weights, without its classifier.

    The tensors have the names of torchvision, so that `Pretrained` reads its files.

    Args:
        blocks: number of blocks in each of the four stages.
        bottleneck: use bottleneck blocks of three convolutions; else basic blocks of two.
        small_images: use a stem of one 3 x 3 convolution of stride 1, for images of about 32 pixels; else the stem
            reduces height and width to a quarter.
        shape: `groups` and `width_per_group` of a ResNeXt.

    Shape:
        images (B, 3, H, W) -> features (B, 2048), or (B, 512) without bottlenecks.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, https://arxiv.org/abs/1512.03385;
        pytorch/vision, torchvision/models/resnet.py.
    """

    stages = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")

    def __init__(
        self, blocks: Sequence[Count], *, bottleneck: bool = True, small_images: bool = False, **shape: Any
    ) -> None:
        super().__init__()
        from torchvision.models import resnet

        network = resnet.ResNet(resnet.Bottleneck if bottleneck else resnet.BasicBlock, list(blocks), **shape)
        for stage in self.stages:
            self.add_module(stage, getattr(network, stage))
        if small_images:
            self.conv1, self.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.dim: int = network.fc.in_features


class ResNet10(ResNet):
    """10 layers, 4.9 M parameters, one block per stage: the small network of ImageNet-LT."""

    def __init__(self, *, small_images: bool = False) -> None:
        super().__init__([1, 1, 1, 1], bottleneck=False, small_images=small_images)


class ResNet50(ResNet):
    """50 layers, 23.5 M parameters."""

    def __init__(self, *, small_images: bool = False) -> None:
        super().__init__([3, 4, 6, 3], small_images=small_images)


class ResNet152(ResNet):
    """152 layers, 58.1 M parameters: the network of Places-LT."""

    def __init__(self, *, small_images: bool = False) -> None:
        super().__init__([3, 8, 36, 3], small_images=small_images)


class ResNeXt50(ResNet):
    """50 layers of 32 groups 4 wide (32x4d), 23.0 M parameters.

    Reference:
        Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017,
        https://arxiv.org/abs/1611.05431.
    """

    def __init__(self, *, small_images: bool = False) -> None:
        super().__init__([3, 4, 6, 3], small_images=small_images, groups=32, width_per_group=4)
