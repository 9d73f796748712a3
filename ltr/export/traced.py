"""A trained network as one module, from the pixels of an image to logits, for export and comparison."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.errors import InputError
from ltr.library_errors import library_errors
from ltr.methods import Method
from ltr.predictor import Predictor
from ltr.preprocessing import normalise

# Relative to the largest logit: other programs fuse and reorder sums, and every layer rounds by 1e-7 of its values.
TOLERANCE = 1e-4
COMPARED = 16  # images


class Traced(nn.Module):
    """Preprocessing, network and adjustments in operations that torch can export.

    Args:
        method: a trained network, in float32 on the CPU.

    Shape:
        images (B, 3, H, W) uint8, red, green and blue -> logits (B, C) float32.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, method: Method) -> None:
        super().__init__()
        assert method.preprocessing is not None
        self.method = method
        method.backbone.to(memory_format=torch.channels_last)  # as in every evaluation
        self.register_buffer("mean", torch.tensor(method.preprocessing.mean))
        self.register_buffer("std", torch.tensor(method.preprocessing.std))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        pixels = self.method.pixels(images, self.method.adjustments)
        return self.method.adjusted(self.method(normalise(pixels, self.mean, self.std))).logits.float()


def images_to_compare(predictor: Predictor) -> Tensor:
    """Return (B, 3, H, W) uint8: the first images of the test split, or random pixels if its files are missing."""
    try:
        with library_errors():
            data = predictor.build_data() if predictor.build_data else None
        if data is not None:
            data.read_for(predictor.method.backbone.preprocessing)
            data.prepare_data()
            images = data.choose()["test"].images
            return images[: min(COMPARED, len(images))].clone()  # a view would be saved with the whole split
    except InputError:
        pass
    size = predictor.preprocessing.size
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (COMPARED, 3, size, size), dtype=torch.uint8, generator=generator)


def largest_difference(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference between two logits (B, C).

    Raises:
        InputError: if it is larger than a rounding error.
    """
    finite = wanted.isfinite()
    if bool((found[~finite] != wanted[~finite]).any()):
        raise InputError("the exported network differs: other logits are not finite. The file was not kept.")
    found, wanted = found[finite], wanted[finite]
    largest = float((found - wanted).abs().max())
    if not largest <= TOLERANCE * max(float(wanted.abs().max()), 1.0):
        raise InputError(
            f"the exported network differs: its logits differ by up to {largest:.2g}, more than rounding errors. The "
            "file was not kept."
        )
    return largest
