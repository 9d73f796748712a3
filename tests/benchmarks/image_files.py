"""How fast image files of many sizes and kinds are found, read and trained on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from ltr.counts import long_tailed
from ltr.data import FolderLT
from ltr.machine import cores

CLASSES, SIZE, BATCH = 20, 64, 128
KINDS = (".jpg", ".png", ".webp", ".ppm")
SIDES = (48, 500)  # of the smallest and the largest image, in pixels


def image_files(count: int, folder: Path) -> dict[str, Any]:
    """Make files in a folder and time what `ltr` does with them, next to torchvision's `ImageFolder`.

    Args:
        count: how many files, about; long-tailed over 20 classes with imbalance 50, a fifth of each for testing.
        folder: an empty one.

    Returns:
        How many files there are, and the seconds of each step, of reading them for the number of training images.
    """
    home = folder / "images"
    made = make(count, home)
    seconds = {}
    seconds["scan"], data = timed(lambda: FolderLT(str(home), size=SIZE, memory=0))
    images = sum(data.counts)
    data.setup()
    seconds["stream"], _ = timed(lambda: sum(len(batch.labels) for batch in data.train_dataloader()))
    seconds["imagefolder"], _ = timed(lambda: sum(len(labels) for _, labels in usual(home)))
    seconds["imagefolder"] *= images / made
    for step in ("memory", "packed"):
        seconds[step], _ = timed(FolderLT(str(home), size=SIZE, cache=str(folder / "cache")).setup)
    seconds["profile"], _ = timed(lambda: command("profile", str(home), "--output", str(folder / "profile")))
    training = ["--config", "ce.yaml", "--data", "FolderLT", "--data.root", str(home), "--data.size", str(SIZE)]
    training += ["--data.cache", str(folder / "cache"), "--model.backbone", "ResNet10", "--trainer.max_epochs", "1"]
    training += ["--model.schedule", "Cosine", "--model.schedule.warmup", "0", "--runs", str(folder / "runs")]
    seconds["epoch"], _ = timed(lambda: command("fit", *training, "--trainer.enable_progress_bar", "false"))
    return {"files": made, "training": images, "size": SIZE, "seconds": seconds}


def make(count: int, home: Path) -> int:
    """Write smooth random images of all sizes and kinds in folders of classes; return how many."""
    generator = np.random.RandomState(0)
    shares = np.array(long_tailed(1000, CLASSES, 50))
    made = 0
    for label, wanted in enumerate(np.maximum(shares * count // shares.sum(), 2)):
        folder = home / f"class {label:02}"
        folder.mkdir(parents=True)
        for _ in range(wanted):
            coarse = Image.fromarray(generator.randint(0, 256, (12, 12, 3)).astype(np.uint8))
            sides = tuple(generator.randint(*SIDES, 2).tolist())
            coarse.resize(sides, Image.Resampling.BICUBIC).save(folder / f"{made:06}{KINDS[made % len(KINDS)]}")
            made += 1
    return made


def usual(home: Path) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    """Return the usual loader of such files: one transform per sample in worker processes."""
    middle = [transforms.Resize(SIZE), transforms.CenterCrop(SIZE), transforms.ToTensor()]
    return DataLoader(ImageFolder(home, transforms.Compose(middle)), batch_size=BATCH, num_workers=cores())


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that something took, and what came of it."""
    start = time.perf_counter()
    found = act()
    return time.perf_counter() - start, found


def command(*words: str) -> None:
    """Run `ltr` in its own process."""
    subprocess.run([sys.executable, "-m", "ltr", *words], check=True, capture_output=True)
