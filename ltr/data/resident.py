"""An in-memory loader: the images stay on one device and a step only indexes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from typing import Protocol

import torch
from torch import Tensor

from ltr.contracts import Batch
from ltr.data.images import ImageFiles


class Indices(Sized, Protocol):
    """Anything that yields the positions of an epoch: a `Sampler`, a range."""

    def __iter__(self) -> Iterator[int]:
        """Yield positions."""
        ...


class Resident:
    """Yield a `Batch` of uint8 images, or of cached features, per step.

    Args:
        labels: (N,) class indices.
        indices: the positions of an epoch, in order; drawn again in every epoch.
        batch_size: samples per step.
        images: (N, 3, H, W) uint8; not read if there are features.
        features: (V, N, D) cached features in V views, in place of images; a view is drawn for each sample.
    """

    batch_sampler = None  # Lightning reads it from every loader

    def __init__(
        self,
        labels: Tensor,
        indices: Indices,
        *,
        batch_size: int,
        images: Tensor | ImageFiles,
        features: Tensor | None = None,
    ) -> None:
        self.labels, self.indices, self.batch_size = labels, indices, batch_size
        self.images, self.features = images, features

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def steps(self) -> Sequence[Tensor]:
        """Return the positions of every step of an epoch.

        Every process takes as many steps as the smallest shard has; otherwise the others would wait for ever.
        """
        order = torch.tensor(list(self.indices), dtype=torch.int64)
        return torch.split(order, self.batch_size)[: len(self)]

    def __iter__(self) -> Iterator[Batch]:
        for positions in self.steps():
            here = positions.to(self.labels.device)
            if self.features is not None:
                views = torch.randint(len(self.features), here.shape, device=here.device)
                yield Batch(self.labels.new_empty(0), self.labels[here], here, self.features[views, here])
            else:
                yield Batch(self.images[here], self.labels[here], here)
