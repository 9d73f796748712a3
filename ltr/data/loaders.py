"""The loaders: over tensors that stay on one device, or over image files that worker processes decode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ltr import distributed
from ltr.contracts import Batch
from ltr.data.images import ImageFiles
from ltr.errors import InputError
from ltr.machine import cores


class Indices(Sized, Protocol):
    """Anything that yields the positions of an epoch: a `Sampler`, a range."""

    def __iter__(self) -> Iterator[int]:
        """Yield positions."""
        ...


class InMemoryLoader:
    """Yield a `Batch` of uint8 images, or of cached features, per step: an index into tensors on one device.

    Args:
        labels: (N,) class indices.
        indices: the positions to visit, in order, drawn anew at every pass.
        batch_size: samples per step.
        images: (N, 3, H, W) uint8; not read if there are features.
        features: (V, N, D) cached features in V views, in place of images; a view is drawn per sample.
        multiple: the number of samples is a multiple of this one; what is left at the end of an epoch is dropped.
    """

    batch_sampler = None  # Lightning looks for it on every loader that it shards by itself

    def __init__(
        self,
        labels: Tensor,
        indices: Indices,
        *,
        batch_size: int,
        images: Tensor | ImageFiles,
        features: Tensor | None = None,
        multiple: int = 1,
    ) -> None:
        self.labels, self.indices, self.batch_size = labels, indices, batch_size
        self.images, self.features, self.multiple = images, features, multiple

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size) - self.joined

    @property
    def samples(self) -> int:
        """The number of samples of a pass."""
        return len(self.indices) // self.multiple * self.multiple

    @property
    def joined(self) -> bool:
        """Whether a single last image joins the batch before it: batch norm cannot be computed for one value."""
        size = self.batch_size
        return self.features is None and 1 < size < self.samples and self.samples % size == 1

    def steps(self) -> Sequence[Tensor]:
        """Return the positions of every step of a pass.

        Every process takes the same number of steps, that of the smallest shard, or the others would wait for ever.
        """
        order = torch.tensor(list(self.indices), dtype=torch.int64)
        steps, number = torch.split(order[: len(order) // self.multiple * self.multiple], self.batch_size), len(self)
        return [*steps[: number - 1], torch.cat(steps[number - 1 :])] if self.joined else steps[:number]

    def __iter__(self) -> Iterator[Batch]:
        for positions in self.steps():
            local = positions.to(self.labels.device)
            if self.features is not None:
                views = torch.randint(len(self.features), local.shape, device=local.device)
                yield Batch(self.labels.new_empty(0), self.labels[local], local, self.features[views, local])
            else:
                yield Batch(self.images[local], self.labels[local], local)


class StreamingLoader(InMemoryLoader):
    """Yield a `Batch` of uint8 images per step, decoded and resized by worker processes, anew in every epoch.

    Order and augmentation are drawn in the main process, so a resumed run sees the same images as an undisturbed one,
    with any number of workers.

    Args:
        labels: (N,) class indices.
        indices: the positions to visit, in order, drawn anew at every pass.
        batch_size: samples per step.
        images: the files.
        workers: processes; 0 decodes in this one, None takes one per core.
        multiple: as for `InMemoryLoader`.
    """

    images: ImageFiles

    def __init__(
        self,
        labels: Tensor,
        indices: Indices,
        *,
        batch_size: int,
        images: ImageFiles,
        workers: int | None = None,
        multiple: int = 1,
    ) -> None:
        super().__init__(labels, indices, batch_size=batch_size, images=images, multiple=multiple)
        self.workers = max(cores() // distributed.world(), 1) if workers is None else workers

    def __iter__(self) -> Iterator[Batch]:
        steps, device = self.steps(), self.labels.device
        loader = DataLoader(
            Steps(self.images),
            batch_size=None,
            sampler=steps,
            num_workers=min(self.workers, len(steps)),
            pin_memory=self.labels.is_cuda,
            generator=torch.Generator(),  # its own, or it would advance the random numbers of the training
        )
        for positions, images in zip(steps, loader, strict=True):
            if isinstance(images, str):
                raise InputError(images)
            local = positions.to(device)
            yield Batch(images.to(device, non_blocking=True), self.labels[local], local)


class Steps(Dataset[Tensor | str]):
    """The images of a step, or the message of an `InputError`, which would lose its type between processes.

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
