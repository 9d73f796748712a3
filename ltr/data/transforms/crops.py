"""Random crops and flips."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Transform

TRIES = 10  # draws of a box until one fits


class CropFlip(Transform):
    """Zero-pad, crop to the original size at a random position and flip half of the images: the basic CIFAR recipe.

    Args:
        padding: pixels added on each side.
        flip: flip half of the images horizontally.

    Reference:
        He et al., CVPR 2016, https://arxiv.org/abs/1512.03385, section 4.2.
    """

    def __init__(self, padding: int = 4, flip: bool = True) -> None:
        super().__init__()
        self.padding, self.mirrors = padding, flip

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images of the same shape."""
        size, _, height, width = images.shape
        device = images.device
        padded = F.pad(images, (self.padding,) * 4)[None]
        rows, columns = torch.randint(2 * self.padding + 1, (2, size), device=device)
        mirrored = torch.zeros(size, dtype=torch.int64, device=device)
        if self.mirrors:
            mirrored = (torch.rand(size, device=device) < 0.5).long()
            padded = torch.cat([padded, padded.flip(4)])
            columns = torch.where(mirrored > 0, 2 * self.padding - columns, columns)
        # All possible crops are views of the padded images; the index copies those that were drawn.
        crops = padded.unfold(3, height, 1).unfold(4, width, 1).permute(0, 1, 3, 4, 2, 5, 6)
        return crops[mirrored, torch.arange(size, device=device), rows, columns]


class ResizedCrop(Transform):
    """Crop a box of random size, aspect ratio and position, resize it, and flip half of the images.

    The aspect ratio lies in [3/4, 4/3]. The images already have a common size: large images from files were cropped to
    their centre square. torchvision's `RandomResizedCrop` crops from the whole image instead.

    Args:
        size: height and width of the result; by default those of the images.
        scale: the smallest box, as a fraction of the area.
        flip: flip half of the images horizontally.

    Reference:
        Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, https://arxiv.org/abs/1409.4842, section 6.
    """

    def __init__(self, size: int | None = None, scale: float = 0.08, flip: bool = True) -> None:
        super().__init__()
        self.size, self.scale, self.mirrors = size, scale, flip

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images (B, 3, size, size), or of the same shape."""
        crops = crop_resize(images, *boxes(images, self.scale), self.size)
        if not self.mirrors:
            return crops
        mirrored = torch.rand(len(crops), device=crops.device) < 0.5
        return torch.where(mirrored[:, None, None, None], crops.flip(3), crops)


def boxes(images: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Draw starts (B, 2) and sizes (B, 2) of crops, rows first: for each image the first of 10 draws that fits.

    If none fits, the crop is the whole image.

    Args:
        images: (B, 3, H, W).
        scale: the smallest crop, as a fraction of the area.
    """
    size, device = len(images), images.device
    whole = torch.tensor(images.shape[2:], device=device)
    areas = whole.prod() * torch.empty(TRIES, size, device=device).uniform_(scale, 1)
    ratios = torch.empty(TRIES, size, device=device).uniform_(-1, 1).mul_(math.log(4 / 3)).exp()
    sizes = torch.stack([(areas / ratios).sqrt(), (areas * ratios).sqrt()], 2).round_().long()
    fits = ((sizes > 0) & (sizes <= whole)).all(2)
    first = fits.long().argmax(0)
    chosen = sizes[first, torch.arange(size, device=device)].where(fits.any(0)[:, None], whole)
    starts = (torch.rand(size, 2, device=device) * (whole - chosen + 1)).long()
    return starts, chosen


def crop_resize(images: Tensor, starts: Tensor, sizes: Tensor, side: int | None = None) -> Tensor:
    """Crop a box from every image and resize it bilinearly, without pixels from outside the box.

    Args:
        images: (B, 3, H, W) uint8.
        starts: (B, 2) first row and column.
        sizes: (B, 2) rows and columns.
        side: height and width of the result; by default those of the images.
    """
    axes = []
    for axis, whole in enumerate(images.shape[2:]):
        start, size, count = starts[:, axis, None], sizes[:, axis, None], side or whole
        places = (torch.arange(count, device=images.device) + 0.5) * size / count - 0.5
        places = start + places.clamp(min=0).minimum(size - 1.0)
        axes.append((2 * places + 1) / whole - 1)
    rows, columns = axes
    height, width = rows.shape[1], columns.shape[1]
    grid = torch.stack([columns[:, None].expand(-1, height, -1), rows[:, :, None].expand(-1, -1, width)], 3)
    return F.grid_sample(images.float(), grid, align_corners=False).round_().to(torch.uint8)
