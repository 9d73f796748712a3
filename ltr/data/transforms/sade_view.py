"""The augmented view of SADE's test-time aggregation."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Transform
from ltr.data.transforms import colours
from ltr.data.transforms.color_jitter import ColorJitter
from ltr.data.transforms.crop_flip import CropFlip
from ltr.data.transforms.simclr_view import some


class SADEView(Transform):
    """Crop and flip as `CropFlip`, then randomly change colours, convert to grey and blur.

    80 % of the images change colours (`ColorJitter` 0.4, 0.4, 0.4, 0.1), 20 % become grey, 20 % are blurred with sigma
    in [0.1, 2]. Compared with `SimCLRView`, it keeps whole objects and blurs less.

    Reference:
        Zhang et al., "Self-Supervised Aggregation of Diverse Experts for Test-Agnostic Long-Tailed Recognition",
        NeurIPS 2022, https://arxiv.org/abs/2107.09249; official code Vanint/SADE-AgnosticLT, test_training_cifar.py,
        which flips after the blur.
    """

    def __init__(self) -> None:
        super().__init__()
        self.crop, self.jitter = CropFlip(), ColorJitter()

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        images = some(self.crop(images), 0.8, self.jitter)
        images = some(images, 0.2, lambda part: colours.grey(part).expand_as(part).to(torch.uint8))
        sigmas = torch.empty(len(images), device=images.device).uniform_(0.1, 2)
        return some(images, 0.2, lambda part: colours.blur(part, sigmas[: len(part)]))
