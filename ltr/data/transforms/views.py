"""The views of contrastive learning and of test-time aggregation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltr.contracts import Transform
from ltr.data.transforms import colours
from ltr.data.transforms.color_jitter import ColorJitter
from ltr.data.transforms.crops import CropFlip, boxes, crop_resize


class SimCLRView(Transform):
    """Crop and resize, flip, change colours, convert to grey and blur, each at random per image.

    A crop has 20 to 100 % of the area and an aspect ratio in [3/4, 4/3]; half of the images are flipped, 80 % change
    colours (`ColorJitter` 0.4, 0.4, 0.4, 0.1), 20 % become grey, and 50 % are blurred with sigma in [0.1, 2] by a
    Gaussian truncated at 4 pixels. Many recipes leave out the blur on small images.

    Args:
        scale: the smallest crop, as a fraction of the area.
        blur: the share of the images that is blurred.
        flip: flip half of the images horizontally.

    Reference:
        Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
        https://arxiv.org/abs/2002.05709, as in the second view of dvlab-research/Parametric-Contrastive-Learning.
    """

    def __init__(self, scale: float = 0.2, blur: float = 0.5, flip: bool = True) -> None:
        super().__init__()
        self.scale, self.blur, self.mirrors, self.jitter = scale, blur, flip, ColorJitter()

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        images = crop_resize(images, *boxes(images, self.scale))
        if self.mirrors:
            images = some(images, 0.5, lambda part: part.flip(3))
        images = some(images, 0.8, self.jitter)
        images = some(images, 0.2, lambda part: colours.grey(part).expand_as(part).to(torch.uint8))
        sigmas = torch.empty(len(images), device=images.device).uniform_(0.1, 2)
        return some(images, self.blur, lambda part: colours.blur(part, sigmas[: len(part)]))


class SADEView(Transform):
    """Crop and flip as `CropFlip`, then randomly change colours, convert to grey and blur.

    80 % of the images change colours (`ColorJitter` 0.4, 0.4, 0.4, 0.1), 20 % become grey, 20 % are blurred with sigma
    in [0.1, 2]. Compared with `SimCLRView`, it keeps whole objects and blurs less.

    Reference:
        Zhang et al., "Self-Supervised Aggregation of Diverse Experts for Test-Agnostic Long-Tailed Recognition",
        NeurIPS 2022, https://arxiv.org/abs/2107.09249; official code Vanint/SADE-AgnosticLT, test_training_cifar.py,
        which flips after the blur.
    """

    mirrors = True

    def __init__(self) -> None:
        super().__init__()
        self.crop, self.jitter = CropFlip(), ColorJitter()

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        images = some(self.crop(images), 0.8, self.jitter)
        images = some(images, 0.2, lambda part: colours.grey(part).expand_as(part).to(torch.uint8))
        sigmas = torch.empty(len(images), device=images.device).uniform_(0.1, 2)
        return some(images, 0.2, lambda part: colours.blur(part, sigmas[: len(part)]))


def some(images: Tensor, chance: float, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a change to each image with probability `chance`."""
    chosen = (torch.rand(len(images), device=images.device) < chance).nonzero()[:, 0]
    return images.index_copy(0, chosen, change(images[chosen])) if len(chosen) else images
