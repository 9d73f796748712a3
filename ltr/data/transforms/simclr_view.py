"""The strong view of contrastive learning."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Transform
from ltr.data.transforms import colours
from ltr.data.transforms.color_jitter import ColorJitter

TRIES = 10


class SimCLRView(Transform):
    """Crop and resize, mirror, change colours, drop them, blur: each image at random and by amounts of its own.

    A crop has 20 to 100 % of the area and a ratio of its sides within [3/4, 4/3]; half of the images are mirrored, 80 %
    change colours (`ColorJitter` 0.4, 0.4, 0.4, 0.1), 20 % become grey, 50 % are blurred with sigma in [0.1, 2], by a
    Gaussian cut off at 4 pixels. On small images many recipes leave out the blur.

    Args:
        scale: the smallest crop, as a part of the area.
        blur: the part of the images that is blurred.

    Reference:
        Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
        https://arxiv.org/abs/2002.05709, as the second view of dvlab-research/Parametric-Contrastive-Learning has it.
    """

    def __init__(self, scale: float = 0.2, blur: float = 0.5) -> None:
        super().__init__()
        self.scale, self.blur, self.jitter = scale, blur, ColorJitter()

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        images = crop_resize(images, *self.boxes(images))
        images = some(images, 0.5, lambda part: part.flip(3))
        images = some(images, 0.8, self.jitter)
        images = some(images, 0.2, lambda part: colours.grey(part).expand_as(part).to(torch.uint8))
        sigmas = torch.empty(len(images), device=images.device).uniform_(0.1, 2)
        return some(images, self.blur, lambda part: colours.blur(part, sigmas[: len(part)]))

    def boxes(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return starts (B, 2) and sizes (B, 2) of crops, rows first: for each image the first of some tries to fit in.

        Where none does, the crop is the whole image.
        """
        size, device = len(images), images.device
        whole = torch.tensor(images.shape[2:], device=device)
        areas = whole.prod() * torch.empty(TRIES, size, device=device).uniform_(self.scale, 1)
        ratios = torch.empty(TRIES, size, device=device).uniform_(-1, 1).mul_(math.log(4 / 3)).exp()
        sizes = torch.stack([(areas / ratios).sqrt(), (areas * ratios).sqrt()], 2).round_().long()
        fits = ((sizes > 0) & (sizes <= whole)).all(2)
        first = fits.long().argmax(0)
        chosen = sizes[first, torch.arange(size, device=device)].where(fits.any(0)[:, None], whole)
        starts = (torch.rand(size, 2, device=device) * (whole - chosen + 1)).long()
        return starts, chosen


def some(images: Tensor, chance: float, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change a random part of the images."""
    chosen = (torch.rand(len(images), device=images.device) < chance).nonzero()[:, 0]
    return images.index_copy(0, chosen, change(images[chosen])) if len(chosen) else images


def crop_resize(images: Tensor, starts: Tensor, sizes: Tensor) -> Tensor:
    """Cut a box out of every image and resize it bilinearly to the old size, as if nothing lay around it.

    Args:
        images: (B, 3, H, W) uint8.
        starts: (B, 2) first row and column.
        sizes: (B, 2) rows and columns.
    """
    axes = []
    for axis, whole in enumerate(images.shape[2:]):
        start, size = starts[:, axis, None], sizes[:, axis, None]
        places = (torch.arange(whole, device=images.device) + 0.5) * size / whole - 0.5
        places = start + places.clamp(min=0).minimum(size - 1.0)
        axes.append((2 * places + 1) / whole - 1)
    rows, columns = axes
    rows, columns = rows[:, :, None].expand(-1, -1, images.shape[3]), columns[:, None].expand(-1, images.shape[2], -1)
    grid = torch.stack([columns, rows], 3)
    return F.grid_sample(images.float(), grid, align_corners=False).round_().to(torch.uint8)
