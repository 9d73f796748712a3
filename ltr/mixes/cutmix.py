"""A patch of one image on another."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Target
from ltr.mixes.paired import Paired


class CutMix(Paired):
    """Paste a patch of the partner; the weight of a label is the part of the picture that is left to it.

    The patch has about 1 - lambda of the area, its centre lies anywhere in the picture and its ends are cut off at the
    border. It is at the same place in all images of a batch.

    Args:
        counts: (C,) training images per class; not used.
        alpha: lambda ~ Beta(alpha, alpha), one for a batch.
        probability: of blending a batch; the others stay as they are.

    Reference:
        Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019,
        https://arxiv.org/abs/1905.04899; official code clovaai/CutMix-PyTorch, train.py.
    """

    def __init__(self, counts: Tensor, *, alpha: float = 1.0, probability: float = 0.5) -> None:
        super().__init__(counts, alpha=alpha)
        self.probability = probability

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Target]:
        """Blend images (B, 3, H, W) with their partners, or leave the batch as it is."""
        return super().forward(images, labels) if torch.rand(()) < self.probability else (images, Target(labels))

    def blend(self, images: Tensor, partners: Tensor, share: float) -> tuple[Tensor, float]:
        """Return the images with a patch, and the part of them without it."""
        height, width = images.shape[2:]
        rows, columns = (self.span(size, size * (1 - share) ** 0.5) for size in (height, width))
        images = images.clone()
        images[:, :, rows, columns] = images[:, :, rows, columns][partners]
        patch = (rows.stop - rows.start) * (columns.stop - columns.start)
        return images, 1 - patch / (height * width)

    @staticmethod
    def span(size: int, length: float) -> slice:
        """Return where a side of the patch lies, at most `length` of `size` pixels."""
        centre, half = int(torch.randint(size, ())), int(length) // 2
        return slice(max(centre - half, 0), min(centre + half, size))
