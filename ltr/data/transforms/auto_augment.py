"""AutoAugment with the policy for CIFAR-10."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Transform
from ltr.data.transforms.operations import NAMES, operate
from ltr.ranges import Byte

# Each sub-policy is two times: operation, probability in tenths, level in ninths.
POLICY = """
    Invert 1 0        Contrast 2 6
    Rotate 7 2        TranslateX 3 9
    Sharpness 8 1     Sharpness 9 3
    ShearY 5 8        TranslateY 7 9
    AutoContrast 5 0  Equalize 9 0
    ShearY 2 7        Posterize 3 7
    Color 4 3         Brightness 6 7
    Sharpness 3 9     Brightness 7 9
    Equalize 6 0      Equalize 5 0
    Contrast 6 7      Sharpness 6 5
    Color 7 7         TranslateX 5 8
    Equalize 3 0      AutoContrast 4 0
    TranslateY 4 3    Sharpness 2 6
    Brightness 9 6    Color 2 8
    Solarize 5 2      Invert 0 0
    Equalize 2 0      AutoContrast 6 0
    Equalize 2 0      Equalize 6 0
    Color 9 9         Equalize 6 0
    AutoContrast 8 0  Solarize 2 8
    Brightness 1 3    Color 7 0
    Solarize 4 5      AutoContrast 9 0
    TranslateY 9 9    TranslateY 7 9
    AutoContrast 9 0  Solarize 8 3
    Equalize 8 0      Invert 1 0
    TranslateY 7 9    AutoContrast 9 0
"""


class AutoAugment(Transform):
    """Apply one of 25 pairs of operations to every image, each with its own probability and level.

    The policy was found on CIFAR-10; long-tailed recipes use it for CIFAR-100 too.

    Args:
        fill: the value of pixels that come in from outside the image; LeapLabTHU/ProCo has 128, grey.

    Reference:
        Cubuk et al., "AutoAugment: Learning Augmentation Policies from Data", CVPR 2019,
        https://arxiv.org/abs/1805.09501; the magnitudes are those of torchvision.
    """

    def __init__(self, fill: Byte = 0) -> None:
        super().__init__()
        self.fill = fill
        words = [line.split() for line in POLICY.strip().splitlines()]
        self.kinds = torch.tensor([[NAMES.index(line[0]), NAMES.index(line[3])] for line in words])
        self.chances = torch.tensor([[int(line[1]), int(line[4])] for line in words]) / 10
        self.levels = torch.tensor([[int(line[2]), int(line[5])] for line in words]) / 9

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        device = images.device
        pairs = torch.randint(len(self.kinds), (len(images),), device=device)
        kinds, chances, levels = (table.to(device)[pairs] for table in (self.kinds, self.chances, self.levels))
        kinds = kinds.where(torch.rand(kinds.shape, device=device) < chances, 0)
        levels = levels * (2 * torch.randint(2, kinds.shape, device=device) - 1)
        for kind, level in zip(kinds.unbind(1), levels.unbind(1), strict=True):
            images = operate(images, kind, level, fill=self.fill)
        return images
