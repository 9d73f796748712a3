"""Images of the worst classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.data import LongTailed

CLASSES, WRONG, RIGHT = 5, 4, 2
SIDE = 64


def examples(
    data: LongTailed, labels: Tensor, predictions: Tensor, *, indices: Tensor, recall: Sequence[float]
) -> dict[str, Tensor]:
    """Return small images of the classes of the lowest recall, of equals those with the fewest training images.

    Args:
        data: the data, with their splits.
        labels: (N,) true classes.
        predictions: (N,) predicted classes.
        indices: (N,) positions in the test split.
        recall: (C,), NaN for a class that the split lacks.

    Returns:
        `examples`: (K, 3, H, W) uint8, at most 64 pixels wide and high, and `exampled`: (K,) their positions. Of every
        class there are up to four images that are not recognised and two that are, drawn with a seed of their own.
    """
    present = set(labels.tolist())
    worst = sorted(present, key=lambda label: (recall[label], data.counts[label], label))[:CLASSES]
    generator = torch.Generator().manual_seed(0)
    chosen = []
    for label in worst:
        for right, most in ((False, WRONG), (True, RIGHT)):
            rows = ((labels == label) & ((predictions == label) == right)).nonzero().flatten()
            chosen.append(rows[torch.randperm(len(rows), generator=generator)[:most]])
    positions = indices[torch.cat(chosen)]
    return {"examples": thumbnails(data, positions), "exampled": positions}


def thumbnails(data: LongTailed, positions: Tensor) -> Tensor:
    """Return images of the test split as the network sees them, (K, 3, H, W) uint8, made small."""
    images = data.preprocessing.cropped(data.splits["test"].images[positions].cpu())
    scale = SIDE / max(images.shape[-2:])
    if scale >= 1:
        return images
    size = [max(round(side * scale), 1) for side in images.shape[-2:]]
    small = F.interpolate(images.float(), size, mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8)
