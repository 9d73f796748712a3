"""CutMix."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Target
from ltr.counts import CountsLike
from ltr.mixes.pairwise import Pairwise
from ltr.ranges import Fraction, Positive


class CutMix(Pairwise):
    """Paste a patch of the partner into each image; labels are weighted by area.

    The patch has about 1 - lambda of the area. Its centre is uniform over the image, and it is cut off at the border.
    All images of a batch have the patch at the same position.

    Args:
        counts: (C,) training images per class; not used.
        alpha: lambda ~ Beta(alpha, alpha), one per batch.
        probability: of mixing a batch; other batches are unchanged.

    Reference:
        Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019,
        https://arxiv.org/abs/1905.04899; official code clovaai/CutMix-PyTorch, train.py.
    """

    def __init__(self, counts: CountsLike, *, alpha: Positive = 1.0, probability: Fraction = 0.5) -> None:
        super().__init__(counts, alpha=alpha)
        self.probability = probability

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Target]:
        """Mix images (B, 3, H, W) with their partners, or return the batch unchanged."""
        return super().forward(images, labels) if torch.rand(()) < self.probability else (images, Target(labels))

    def blend(self, images: Tensor, partners: Tensor, share: float) -> tuple[Tensor, float]:
        """Return the images with the patch, and the share of the area without it."""
        height, width = images.shape[2:]
        rows, columns = (self.span(size, size * (1 - share) ** 0.5) for size in (height, width))
        images = images.clone()
        images[:, :, rows, columns] = images[:, :, rows, columns][partners]
        patch = (rows.stop - rows.start) * (columns.stop - columns.start)
        return images, 1 - patch / (height * width)

    @staticmethod
    def span(size: int, length: float) -> slice:
        """Draw the position of the patch along one side: at most `length` of `size` pixels."""
        centre, half = int(torch.randint(size, ())), int(length) // 2
        return slice(max(centre - half, 0), min(centre + half, size))
