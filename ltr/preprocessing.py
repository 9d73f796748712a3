"""From uint8 images to the input of a network: crop, size and normalisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.errors import InputError

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class Preprocessing:
    """From uint8 images to the input of a network: the middle of each image, resized if need be, and normalised.

    It belongs to the network: a training takes it from its data, or from the published weights that it starts from, and
    the checkpoint keeps it.

    Attributes:
        size: height and width to which an image is resized as it is read.
        crop: height and width of the middle that an evaluation shows to the network; None for the whole image.
        mean: (3,) means of the channels, of pixels in [0, 1].
        std: (3,) their standard deviations.
        interpolation: how an image is resized.
        resized: height and width to which that middle is resized for the network; None to leave it as it is.

    Shape:
        images (B, 3, H, W) uint8 -> (B, 3, side, side) float32, channels last, on the device of the images.
    """

    size: int
    crop: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation = "bilinear"
    resized: int | None = None

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
            sizes = 1 <= (self.crop or self.size) <= self.size and (self.resized is None or self.resized >= 1)
            sizes = sizes and self.interpolation in ("bilinear", "bicubic")
            levels = all(map(math.isfinite, self.mean)) and all(0 < value < math.inf for value in self.std)
            sound = sizes and levels and len(self.mean) == len(self.std) == 3
        except (TypeError, ValueError):
            sound = False
        if not sound:
            raise InputError(
                f"the preprocessing of a network cannot have size {self.size}, crop {self.crop}, mean {self.mean}, "
                f"std {self.std}, resized {self.resized} and interpolation {self.interpolation}: sizes are at least 1, "
                "crop is at most size, the three std are above 0, and images are resized bilinear or bicubic."
            )

    @property
    def side(self) -> int:
        """Height and width of the input of the network."""
        return self.resized or self.crop or self.size

    @property
    def input(self) -> str:
        """The input of the network in words; networks for which it is the same can share a batch."""
        return f"{self.side} x {self.side} pixels, mean {self.mean}, std {self.std}, {self.interpolation}"

    def reading(self, size: int, crop: int | None) -> Preprocessing:
        """Return the same for images that are read in another size: their middle is resized for the network.

        Args:
            size: height and width of the images.
            crop: of their middle; None for the whole image.
        """
        resized = self.side if (crop or size) != self.side else None
        return replace(self, size=size, crop=crop, resized=resized)

    def write(self, content: dict[str, Any]) -> None:
        """Store it in a checkpoint."""
        content["preprocessing"] = asdict(self)

    def __call__(self, images: Tensor) -> Tensor:
        """Crop, resize and normalise images."""
        return self.normalised(self.to_side(self.cropped(images)))

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

    def to_side(self, images: Tensor) -> Tensor:
        """Return uint8 images (B, 3, h, w), or views of them (B, V, 3, h, w), in the size of the network's input.

        Returns:
            The images themselves if they have that size, or none is asked for; else float32 values from 0 to 255.
        """
        return images if self.resized is None else self.scaled(images, self.resized)

    def scaled(self, images: Tensor, side: int) -> Tensor:
        """Return uint8 images (B, 3, h, w), or views of them (B, V, 3, h, w), with `side` as height and width.

        Returns:
            The images themselves if they have that size; else float32 values from 0 to 255.
        """
        size = (side, side)
        if images.shape[-2:] == size:
            return images
        flat = images.flatten(0, -4).float()
        # Also where it changes nothing: without it, torch has another cubic kernel than PIL, which files are read with.
        made = F.interpolate(flat, size, mode=self.interpolation, align_corners=False, antialias=True)
        return made.clamp(0, 255).view(*images.shape[:-2], *size)

    def normalised(self, images: Tensor) -> Tensor:
        """Scale pixels from 0 to 255, (B, 3, H, W) or views (B, V, 3, H, W), to [0, 1] and normalise each channel."""
        return normalise(images, *_on_device(self.mean, self.std, images.device))


@lru_cache(maxsize=16)  # a copy to a GPU would wait for it in every step
@torch.inference_mode(False)
def _on_device(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return both (3,) as tensors."""
    first, second = (torch.tensor(values, dtype=torch.float32, device=device) for values in (mean, std))
    return first, second


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Scale pixels from 0 to 255 to [0, 1] and normalise each channel; channels-last float32.

    Args:
        images: (B, 3, H, W), or views of them (B, V, 3, H, W).
        mean: (3,) channel means, of pixels in [0, 1].
        std: (3,) channel standard deviations.
    """
    scale = (1 / (255 * std)).view(1, 3, 1, 1)
    shift = (-mean / std).view(1, 3, 1, 1)
    flat = images.flatten(0, -4).to(memory_format=torch.channels_last).float()
    return torch.addcmul(shift, flat, scale).view(images.shape)
