"""The loops that a training is timed against: plain cross-entropy on a ResNet-32, twice written by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ltr.backbones import ResNet32
from ltr.data import CropFlip, LongTailed
from ltr.errors import InputError
from ltr.heads import Linear
from ltr.machine import cores
from ltr.preprocessing import normalise

Loop = Callable[[int], int]


class Bare:
    """The same as `ltr fit` with no framework around it: resident images, batched augmentation, one precision.

    Args:
        data: the data module, set up.
        device: where to.
        bf16: whether the network runs under bf16 autocast.
        compile: whether it is compiled, for each batch size on its own.
    """

    def __init__(self, data: LongTailed, device: torch.device, *, bf16: bool, compile: bool) -> None:
        self.images, self.labels = resident(data, "train")
        self.batch_size = data.batch_size
        self.mean, self.std = torch.tensor(data.mean, device=device), torch.tensor(data.std, device=device)
        self.augment = CropFlip()
        self.device, self.bf16 = device, bf16
        self.network = network(len(data.counts)).to(device).to(memory_format=torch.channels_last)
        if compile:
            self.network.compile(dynamic=False)
        self.optimizer = optimizer(self.network)

    def __call__(self, steps: int) -> int:
        """Train for some steps; return how many images that were."""
        order = torch.randperm(len(self.labels), device=self.device)[: steps * self.batch_size]
        for here in torch.split(order, self.batch_size):
            images = normalise(self.augment(self.images[here]), self.mean, self.std)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                loss = F.cross_entropy(self.network(images), self.labels[here])
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        return len(order)


class Usual:
    """The usual stack: images as PIL, one transform per sample in worker processes, float32, a loss read every step.

    Args:
        data: the data module, set up.
        device: where to.
        bf16: ignored; the usual stack has float32.
        compile: ignored, likewise.
    """

    def __init__(self, data: LongTailed, device: torch.device, *, bf16: bool, compile: bool) -> None:
        images, labels = resident(data, "train")
        height, width = images.shape[2:]
        augment = transforms.Compose(
            [
                transforms.RandomCrop((height, width), padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(data.mean, data.std),
            ]
        )
        self.loader = DataLoader(
            Files(images.cpu(), labels.cpu(), augment),
            batch_size=data.batch_size,
            shuffle=True,
            num_workers=cores(),
            pin_memory=device.type == "cuda",
            persistent_workers=True,
        )
        self.device = device
        self.network = network(len(data.counts)).to(device)
        self.optimizer = optimizer(self.network)

    def __call__(self, steps: int) -> int:
        """Train for some steps; return how many images that were, and keep their mean loss in `loss`."""
        seen, running = 0, 0.0
        for batch, classes in islice(self.loader, steps):
            images, labels = batch.to(self.device, non_blocking=True), classes.to(self.device, non_blocking=True)
            loss = F.cross_entropy(self.network(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            running += loss.item() * len(labels)
            seen += len(labels)
        self.loss = running / seen
        return seen


class Files(Dataset[tuple[Any, int]]):
    """Images that are made PIL images one by one.

    Args:
        images: (N, 3, H, W) uint8.
        labels: (N,) class indices.
        augment: from a PIL image to a tensor.
    """

    def __init__(self, images: Tensor, labels: Tensor, augment: Callable[[Any], Any]) -> None:
        self.images, self.labels, self.augment = images.permute(0, 2, 3, 1).numpy(), labels.tolist(), augment

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return an augmented image and its class."""
        return self.augment(Image.fromarray(self.images[index])), self.labels[index]


LOOPS: dict[str, type[Bare] | type[Usual]] = {"bare": Bare, "usual": Usual}


def resident(data: LongTailed, name: str) -> tuple[Tensor, Tensor]:
    """Return the images and labels of a split.

    Raises:
        InputError: where the images are files that do not fit into memory.
    """
    split = data.splits[name]
    if not isinstance(split.images, Tensor):
        raise InputError("there is no loop to compare with over files: hold the images, with `--data.memory 100`.")
    return split.images, split.labels


def network(classes: int) -> nn.Module:
    """Return a ResNet-32 with a linear classifier, initialised as `ltr fit` does."""
    backbone = ResNet32()
    return nn.Sequential(backbone, Linear(backbone.dim, classes).fc)


def optimizer(model: nn.Module) -> SGD:
    """Return the usual optimizer of CIFAR."""
    return SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
