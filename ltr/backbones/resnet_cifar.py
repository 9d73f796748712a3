"""The ResNets for CIFAR: three stages of basic blocks, by default with parameter-free shortcuts."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from ltr.contracts import Backbone
from ltr.errors import InputError
from ltr.ranges import Count, Positive

ShortcutKind = Literal["A", "B"]


class Shortcut(nn.Module):
    """Shortcut option A: take every second pixel and zero-pad the channels, half on each side."""

    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, D, h, w) to (B, D + extra, h/2, w/2)."""
        before = self.extra // 2
        return F.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, before, self.extra - before))


class Projected(nn.Sequential):
    """Shortcut option B: a 1 x 1 convolution of every second pixel, with batch norm.

    A strided convolution has the same result, but fails in torch 2.14 (oneDNN 3.12) on processors with AVX2 and no
    AVX-512: for channels-last images of fewer than 8 channels its gradient is wrong or beyond its memory.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h/stride, w/stride)."""
        maps = maps[:, :, :: self.stride, :: self.stride]
        for layer in self:
            maps = layer(maps)
        return maps


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: ShortcutKind = "A") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = Shortcut(outputs - inputs) if shortcut == "A" else Projected(inputs, outputs, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h/stride, w/stride)."""
        residual = F.relu(self.bn1(self.conv1(maps)))
        return F.relu(self.bn2(self.conv2(residual)) + self.shortcut(maps))


class ResNetCIFAR(Backbone):
    """A CIFAR ResNet of 6n + 2 layers.

    The tensors have the names of the public CIFAR-LT checkpoints.

    Args:
        depth: 6n + 2 layers, including the classifier.
        width: channels of the first stage; the second and third have twice and four times as many.
        slim: factor for the channels of the second and third stage; RIDE's experts have 0.75: 24 and 48, not 32 and 64.
        shortcut: of the blocks that change the size: `A` takes every second pixel and pads the channels, as in nearly
            all results on CIFAR; `B` is a 1 x 1 convolution with batch norm.

    Shape:
        images (B, 3, H, W) -> features (B, 4 * width * slim).

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, https://arxiv.org/abs/1512.03385, section
        4.2; kaidic/LDAM-DRW, models/resnet_cifar.py.
    """

    stages = ("conv1", "bn1", "relu", "layer1", "layer2", "layer3")

    def __init__(self, depth: Count, width: Count = 16, slim: Positive = 1.0, *, shortcut: ShortcutKind = "A") -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        if depth != 6 * blocks + 2:
            raise InputError(f"a CIFAR ResNet has 6n + 2 layers, not {depth}.")
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        middle, self.dim = round(2 * width * slim), round(4 * width * slim)
        self.layer1 = self._stage(width, width, blocks, stride=1, shortcut=shortcut)
        self.layer2 = self._stage(width, middle, blocks, stride=2, shortcut=shortcut)
        self.layer3 = self._stage(middle, self.dim, blocks, stride=2, shortcut=shortcut)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    @staticmethod
    def _stage(inputs: int, outputs: int, blocks: int, *, stride: int, shortcut: ShortcutKind) -> nn.Sequential:
        """Return a sequence of blocks, of which only the first changes the size."""
        first = BasicBlock(inputs, outputs, stride, shortcut)
        return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)))


class ResNet20(ResNetCIFAR):
    """20 layers, 0.27 M parameters."""

    def __init__(self, width: Count = 16, slim: Positive = 1.0, *, shortcut: ShortcutKind = "A") -> None:
        super().__init__(20, width, slim, shortcut=shortcut)


class ResNet32(ResNetCIFAR):
    """32 layers, 0.46 M parameters: the network of nearly all published CIFAR-LT results."""

    def __init__(self, width: Count = 16, slim: Positive = 1.0, *, shortcut: ShortcutKind = "A") -> None:
        super().__init__(32, width, slim, shortcut=shortcut)


class ResNet44(ResNetCIFAR):
    """44 layers, 0.66 M parameters."""

    def __init__(self, width: Count = 16, slim: Positive = 1.0, *, shortcut: ShortcutKind = "A") -> None:
        super().__init__(44, width, slim, shortcut=shortcut)


class ResNet56(ResNetCIFAR):
    """56 layers, 0.85 M parameters."""

    def __init__(self, width: Count = 16, slim: Positive = 1.0, *, shortcut: ShortcutKind = "A") -> None:
        super().__init__(56, width, slim, shortcut=shortcut)
