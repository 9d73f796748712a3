"""Batched augmentation against one PIL image at a time, on one core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentParser
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import AutoAugmentPolicy, InterpolationMode

from ltr.contracts import Transform
from ltr.data import LongTailed
from ltr.preprocessing import normalise
from ltr.run import lookup

NORMALISED: list[Any] = [transforms.ToTensor(), transforms.Normalize(LongTailed.mean, LongTailed.std)]
BASIC: list[Any] = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]

# What the recipes of `configs/recipes/` are in torchvision on PIL images.
USUAL: dict[str, list[Any]] = {
    "basic": [*BASIC, *NORMALISED],
    "rotation": [*BASIC, transforms.RandomRotation(15), *NORMALISED],
    "autoaugment": [
        *BASIC,
        transforms.AutoAugment(AutoAugmentPolicy.CIFAR10),
        *NORMALISED,
        transforms.RandomErasing(1, scale=(0.25, 0.25), ratio=(1, 1)),
    ],
    "randaugment": [*BASIC, transforms.RandAugment(2, 9), *NORMALISED],
    "color_jitter": [*BASIC, transforms.ColorJitter(0.4, 0.4, 0.4), *NORMALISED],
    "simclr": [
        transforms.RandomResizedCrop(32, scale=(0.2, 1), interpolation=InterpolationMode.BILINEAR),
        transforms.RandomHorizontalFlip(),
        transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8),
        transforms.RandomGrayscale(0.2),
        transforms.RandomApply([transforms.GaussianBlur(5, (0.1, 2))], 0.5),
        *NORMALISED,
    ],
}


def augmentations(*, rounds: int, batch: int = 128, batches: int = 4) -> list[dict[str, Any]]:
    """Time every recipe, batched and image by image in turns, on one thread of the CPU.

    Args:
        rounds: how often.
        batch: images that are augmented at once.
        batches: how many such batches are a round.

    Returns:
        One row per recipe: images per second of both, and the median of the ratios.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    images = natural(batch)
    files = [Image.fromarray(image) for image in images.permute(0, 2, 3, 1).numpy()]
    mean, std = torch.tensor(LongTailed.mean), torch.tensor(LongTailed.std)
    rows = []
    for name, steps in USUAL.items():
        augment, usual = recipe(name), transforms.Compose(steps)

        def batched(augment: Transform = augment) -> None:
            for _ in range(batches):
                normalise(augment(images), mean, std)

        def single(usual: Callable[[Any], Any] = usual) -> None:
            torch.stack([usual(file) for file in files])

        batched()
        single()
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(seconds(batched) / (batches * batch))
            theirs.append(seconds(single) / batch)
        ratios = [slow / fast for slow, fast in zip(theirs, ours, strict=True)]
        rows.append(
            {
                "recipe": name,
                "batched": 1 / statistics.median(ours),
                "pil": 1 / statistics.median(theirs),
                "ratio": statistics.median(ratios),
            }
        )
    torch.set_num_threads(threads)
    return rows


def recipe(name: str) -> Transform:
    """Build the augmentation of `configs/recipes/NAME.yaml`."""
    said = yaml.safe_load(lookup.config(f"recipes/{name}.yaml").read_text(encoding="utf-8"))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--augment", type=Transform)
    built: Transform = parser.instantiate_classes(
        parser.parse_object({"augment": said["data"]["init_args"]["augment"]})
    ).augment
    return built


def natural(number: int) -> Tensor:
    """Return (number, 3, 32, 32) uint8 images with smooth areas and edges, since noise is no image."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(number, 3, 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic").clamp(0, 1)
    return (255 * smooth).to(torch.uint8)


def seconds(work: Callable[[], None]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
