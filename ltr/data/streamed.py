"""A streaming loader: worker processes decode the image files in every epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ltr import distributed
from ltr.contracts import Batch
from ltr.data.images import ImageFiles
from ltr.data.resident import Indices, Resident
from ltr.errors import InputError
from ltr.machine import cores


class Streamed(Resident):
    """Yield a `Batch` of uint8 images per step, decoded and resized by workers.

    Order and augmentation are drawn in the main process, so the number of workers does not matter and a resumed run
    sees the same images as an undisturbed one.

    Args:
        labels: (N,) class indices.
        indices: the positions of an epoch, in order; drawn again in every epoch.
        batch_size: samples per step.
        images: the files.
        workers: processes; 0 decodes in this one, None takes one per core.
    """

    images: ImageFiles

    def __init__(
        self, labels: Tensor, indices: Indices, *, batch_size: int, images: ImageFiles, workers: int | None = None
    ) -> None:
        super().__init__(labels, indices, batch_size=batch_size, images=images)
        self.workers = max(cores() // distributed.world(), 1) if workers is None else workers

    def __iter__(self) -> Iterator[Batch]:
        steps, device = self.steps(), self.labels.device
        loader = DataLoader(
            Steps(self.images),
            batch_size=None,
            sampler=steps,
            num_workers=min(self.workers, len(steps)),
            pin_memory=self.labels.is_cuda,
            generator=torch.Generator(),  # its own, so that it draws nothing from the training's generators
        )
        for positions, images in zip(steps, loader, strict=True):
            if isinstance(images, str):
                raise InputError(images)
            here = positions.to(device)
            yield Batch(images.to(device, non_blocking=True), self.labels[here], here)


class Steps(Dataset[Tensor | str]):
    """The images of a step, or the message of an `InputError`, which an exception of a worker would lose.

    Args:
        images: the files.
    """

    def __init__(self, images: ImageFiles) -> None:
        self.images = images

    def __getitem__(self, positions: Tensor) -> Tensor | str:
        try:
            return self.images[positions]
        except InputError as error:
            return str(error)
