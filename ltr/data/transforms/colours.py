"""Colour operations with a strength per image; all map uint8 (B, 3, H, W) to uint8 of the same shape.

They are equal to torchvision on uint8 tensors: they truncate and round where it does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def per_image(values: Tensor) -> Tensor:
    """Reshape values (B,) to broadcast over a batch of images."""
    return values.view(-1, 1, 1, 1)


def blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    """Return others + factor * (images - others), within [0, 255]."""
    share = per_image(factors)
    return (share * images + (1 - share) * others).clamp_(0, 255).to(torch.uint8)


def grey(images: Tensor) -> Tensor:
    """Return (B, 1, H, W) the lightness, rounded down, as float."""
    red, green, blue = images.float().unbind(1)
    return torch.floor(0.2989 * red + 0.587 * green + 0.114 * blue)[:, None]


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply every pixel by a factor (B,)."""
    return (images * per_image(factors)).clamp_(0, 255).to(torch.uint8)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Scale the difference to the mean lightness by a factor (B,)."""
    return blend(images, grey(images).mean((1, 2, 3), keepdim=True), factors)


def saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Scale the difference to the grey image by a factor (B,)."""
    return blend(images, grey(images), factors)


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Scale the difference to the smoothed image by a factor (B,); border pixels are unchanged."""
    smooth = images.float()
    sums = F.avg_pool2d(smooth, 3, stride=1, divisor_override=1)
    smooth[:, :, 1:-1, 1:-1] = ((sums + 4 * smooth[:, :, 1:-1, 1:-1]) / 13).round_()
    return blend(images, smooth, factors)


def hue(images: Tensor, turns: Tensor) -> Tensor:
    """Shift the hue by a fraction (B,) of the colour circle."""
    red, green, blue = (images / 255).unbind(1)
    value, low = torch.maximum(torch.maximum(red, green), blue), torch.minimum(torch.minimum(red, green), blue)
    chroma = value - low
    span = chroma.clamp(min=1e-9)
    angle = torch.where(
        value == red,
        (green - blue) / span,
        torch.where(value == green, 2 + (blue - red) / span, 4 + (red - green) / span),
    )
    angle = angle + 6 * turns.view(-1, 1, 1)
    # A channel falls from `value` to `low` with the distance of the angle from its own third of the circle.
    channels = []
    for start in (5, 3, 1):
        place = (start + angle).remainder(6)
        channels.append(value - chroma * torch.minimum(place, 4 - place).clamp(0, 1))
    return (torch.stack(channels, 1) * 255).round_().to(torch.uint8)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the upper bits (B,) of every pixel."""
    return images & per_image(256 - 2 ** (8 - bits.long())).to(torch.uint8)


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Invert the pixels at or above a threshold (B,)."""
    return torch.where(images >= per_image(thresholds), 255 - images, images)


def invert(images: Tensor) -> Tensor:
    """Invert every pixel."""
    return 255 - images


def auto_contrast(images: Tensor) -> Tensor:
    """Stretch every channel to [0, 255]; a constant channel is unchanged."""
    levels = images.int()
    low, high = levels.amin((2, 3), keepdim=True), levels.amax((2, 3), keepdim=True)
    return torch.where(high == low, levels, 255 * (levels - low) // (high - low).clamp(min=1)).to(torch.uint8)


def equalize(images: Tensor) -> Tensor:
    """Equalise the histogram of every channel; a channel with too few levels is unchanged."""
    size, channels, height, width = images.shape
    levels = images.reshape(size * channels, height * width).long()
    rows = torch.arange(len(levels), device=images.device)[:, None]
    counts = torch.bincount((levels + 256 * rows).flatten(), minlength=256 * len(levels)).view(-1, 256)
    last = counts.gather(1, levels.amax(1, keepdim=True))
    step = (height * width - last) // 255
    below = counts.cumsum(1) - counts  # pixels of a lower level
    table = ((below + step // 2) // step.clamp(min=1)).clamp_(0, 255)
    equal = table.gather(1, levels).to(torch.uint8)
    return torch.where(step == 0, levels.to(torch.uint8), equal).view(images.shape)


def blur(images: Tensor, sigmas: Tensor, *, reach: int = 4) -> Tensor:
    """Blur with a Gaussian of width sigma (B,) in pixels, truncated at `reach` pixels; the border is reflected."""
    offsets = torch.arange(-reach, reach + 1, device=images.device)
    taps = torch.softmax(-0.5 * (offsets / sigmas[:, None]) ** 2, 1)[:, None, None, None]
    smooth = F.pad(images.float(), (reach,) * 4, mode="reflect")
    for axis in (2, 3):
        smooth = (smooth.unfold(axis, len(offsets), 1) * taps).sum(4)
    return smooth.round_().to(torch.uint8)
