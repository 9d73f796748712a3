"""One transform after another."""

from __future__ import annotations

from torch import Tensor, nn

from ltr.contracts import Transform
from ltr.errors import InputError


class Chain(Transform):
    """Apply transforms in their order; only the last one may make several views.

    Args:
        transforms: the transforms.
    """

    def __init__(self, transforms: list[Transform]) -> None:
        super().__init__()
        if any(transform.views > 1 for transform in transforms[:-1]):
            raise InputError("a chain goes on with one view: let Views come last in it.")
        self.views = transforms[-1].views if transforms else 1
        self.transforms = nn.ModuleList(transforms)

    @property
    def title(self) -> str:
        """What a result says of it."""
        return " + ".join(str(transform.title) for transform in self.transforms)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images, or to what the last transform makes of them."""
        for transform in self.transforms:
            images = transform(images)
        return images
