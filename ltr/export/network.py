"""A network as it is tested, from the pixels of a file to logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.contracts import normalise
from ltr.errors import InputError
from ltr.export.trained import Trained
from ltr.methods import Method

# Of the largest logit: other programs fold and reorder sums, and every layer rounds by 1e-7 of its values.
TOLERANCE = 1e-4


class Network(nn.Module):
    """Take the middle of the images, normalise and classify.

    Args:
        trained: the run.
        method: its network, or one that should be equal to it.

    Shape:
        images (B, 3, H, W) uint8, red, green and blue -> logits (B, C) float32.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, trained: Trained, method: Method | None = None) -> None:
        super().__init__()
        self.method, self.preprocessing = method or trained.method, trained.preprocessing
        self.register_buffer("mean", torch.tensor(self.preprocessing.mean))
        self.register_buffer("std", torch.tensor(self.preprocessing.std))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.method(normalise(self.preprocessing.cropped(images), self.mean, self.std)).logits
        return logits.float()


def apart(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference between two logits (B, C).

    Raises:
        InputError: where it is more than rounding.
    """
    largest = float((found - wanted).abs().max())
    if not largest <= TOLERANCE * max(float(wanted.abs().max()), 1.0):
        raise InputError(
            f"what was exported is not the network: its logits differ by up to {largest:.2g}, more than rounding does. "
            "It was not kept."
        )
    return largest
