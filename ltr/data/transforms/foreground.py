"""Move the foreground of images and keep the background."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.data.transforms.warp import positions, rotation


def move(images: Tensor, masks: Tensor, matrices: Tensor) -> Tensor:
    """Move the foreground of every image; all other pixels are unchanged.

    The whole image is moved, and its pixels are used where the foreground was and where it arrives. So the foreground
    appears once, and the uncovered pixels get the background that lay beside it, or are unchanged if there was none.

    Args:
        images: (B, 3, H, W) uint8.
        masks: (B, H, W) bool, True for the foreground.
        matrices: (B, 2, 3) from the result to the image, as for `warp`.

    Reference:
        zhangyongshun/BagofTricks-LT, lib/utils/cam_based_sampling.py, which fills uncovered pixels in the same way.
    """
    grid = positions(matrices, list(images.shape))
    # The mask is not interpolated. The image is, with its border repeated to avoid a dark rim.
    inside = torch.stack([masks, torch.ones_like(masks)], 1).float()
    arrived, within = F.grid_sample(inside, grid, mode="nearest", align_corners=False).bool().unbind(1)
    moved = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    changed = within & (masks | arrived)
    return torch.where(changed[:, None], moved.round().to(images.dtype), images)


def draw(masks: Tensor, *, degrees: float = 45.0, scale: float = 0.2) -> Tensor:
    """Draw one of three motions for every image: rotate and scale, shift, or flip.

    Rotation and scaling are about the centre of the foreground's box. Shifts are by whole pixels and keep the box in
    the image. Flips mirror the whole image.

    Args:
        masks: (B, H, W) bool, True for the foreground.
        degrees: the largest angle in either direction.
        scale: the largest relative change of size.

    Returns:
        (B, 2, 3) matrices for `move`.
    """
    size, height, width = masks.shape
    device = masks.device
    low, high = box(masks)
    frame = torch.tensor([width, height], device=device)

    centre = ((low + high + 1 - frame) / 2)[:, :, None]
    angles = torch.empty(size, device=device).uniform_(-degrees, degrees)
    factors = torch.empty(size, 1, 1, device=device).uniform_(1 - scale, 1 + scale)
    turn = rotation(angles)[:, :, :2] / factors
    turned = torch.cat([turn, centre - turn @ centre], 2)

    same = torch.eye(2, device=device).expand(size, 2, 2)
    room = frame - 1 - high + low
    shift = (torch.rand(size, 2, device=device) * (room + 1)).floor().clamp(max=room) - low
    shifted = torch.cat([same, -shift[:, :, None]], 2)

    mirrored = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], device=device).expand(size, 2, 3)
    kinds = torch.randint(3, (size,), device=device)
    return torch.stack([turned, shifted, mirrored])[kinds, torch.arange(size, device=device)]


def box(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and the last (column, row) of each foreground, both (B, 2). Masks must not be empty."""
    lines = (masks.any(1), masks.any(2))
    first = [line.int().argmax(1) for line in lines]
    last = [line.shape[1] - 1 - line.flip(1).int().argmax(1) for line in lines]
    return torch.stack(first, 1), torch.stack(last, 1)
