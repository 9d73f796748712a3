"""From uint8 images to the input of a network: crop and normalisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from ltr.errors import InputError


@dataclass(frozen=True)
class Preprocessing:
    """From uint8 images to the input of a network: the middle of each image, normalised.

    It belongs to the network: a training takes it from its data, and the checkpoint keeps it.

    Attributes:
        size: height and width to which an image is resized as it is read.
        crop: height and width of the middle that an evaluation shows to the network; None for the whole image.
        mean: (3,) means of the channels, of pixels in [0, 1].
        std: (3,) their standard deviations.
        interpolation: how an image is resized.

    Shape:
        images (B, 3, H, W) uint8 -> (B, 3, crop, crop) float32, channels last, on the device of the images.
    """

    size: int
    crop: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bilinear"] = "bilinear"

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Preprocessing | None:
        """Return the preprocessing in a checkpoint, None if there is none."""
        kept = content.get("preprocessing")
        try:
            return kept and cls(**kept)
        except TypeError as error:
            raise InputError("the preprocessing in the checkpoint is damaged: train the network again.") from error

    def __post_init__(self) -> None:
        """Turn sequences into tuples, which can be compared and hashed; refuse values that mean nothing."""
        try:
            for name in ("mean", "std"):
                object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
            sizes = 1 <= (self.crop or self.size) <= self.size
            levels = all(map(math.isfinite, self.mean)) and all(0 < value < math.inf for value in self.std)
            sound = sizes and levels and len(self.mean) == len(self.std) == 3
        except (TypeError, ValueError):
            sound = False
        if not sound:
            raise InputError(
                f"the preprocessing of a network cannot have size {self.size}, crop {self.crop}, mean {self.mean} and "
                f"std {self.std}: sizes are at least 1, crop is at most size, and the three std are above 0."
            )

    def write(self, content: dict[str, Any]) -> None:
        """Store it in a checkpoint."""
        content["preprocessing"] = asdict(self)

    def __call__(self, images: Tensor) -> Tensor:
        """Crop and normalise images."""
        return self.normalised(self.cropped(images))

    def cropped(self, images: Tensor) -> Tensor:
        """Return the middle (..., crop, crop) of images (..., H, W), as a view.

        Raises:
            InputError: if the images are smaller than that.
        """
        if self.crop is None:
            return images
        if min(images.shape[-2:]) < self.crop:
            raise InputError(
                f"the network takes images of {self.crop} x {self.crop} pixels, and these have {images.shape[-2]} x "
                f"{images.shape[-1]}: give larger ones, with `--data.size` where the data can resize them."
            )
        top, left = ((side - self.crop) // 2 for side in images.shape[-2:])
        return images[..., top : top + self.crop, left : left + self.crop]

    def normalised(self, images: Tensor) -> Tensor:
        """Scale uint8 images (B, 3, H, W), or views of them (B, V, 3, H, W), to [0, 1] and normalise each channel."""
        return normalise(images, *_on_device(self.mean, self.std, images.device))


@lru_cache(maxsize=16)  # a copy to a GPU would wait for it in every step
@torch.inference_mode(False)
def _on_device(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return both (3,) as tensors."""
    first, second = (torch.tensor(values, dtype=torch.float32, device=device) for values in (mean, std))
    return first, second


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Scale uint8 images to [0, 1] and normalise each channel; channels-last float32.

    Args:
        images: (B, 3, H, W), or views of them (B, V, 3, H, W).
        mean: (3,) channel means, of pixels in [0, 1].
        std: (3,) channel standard deviations.
    """
    scale = (1 / (255 * std)).view(1, 3, 1, 1)
    shift = (-mean / std).view(1, 3, 1, 1)
    flat = images.flatten(0, -4).to(memory_format=torch.channels_last).float()
    return torch.addcmul(shift, flat, scale).view(images.shape)
