"""No augmentation."""

from __future__ import annotations

from torch import Tensor

from ltr.contracts import Transform


class Plain(Transform):
    """Leave the images as they are."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the images."""
        return images
