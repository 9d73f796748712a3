"""A queue of features in which every class has its own places."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltr.errors import InputError


class ClassQueue(nn.Module):
    """The latest features of every class. Checkpoints contain it.

    Each class has a ring of places: a few, and a share of the rest in proportion to its training images. A new feature
    takes the next place of its class. A place that was never taken has a random vector of length 1.

    Args:
        counts: (C,) training images per class.
        size: K, number of places.
        least: places that every class has besides its share of the rest.
        dim: size D of a feature.

    Attributes:
        labels: (K,) the class of each place.
        features: (K, D).
        images: (K,) position of the image in the training split; negative for a place that was never taken.

    Reference:
        Suh and Seo, ICML 2023; official code bluecdm/Long-tailed-recognition, moco/builder.py.
    """

    labels: Tensor
    features: Tensor
    images: Tensor
    first: Tensor
    places: Tensor
    next: Tensor

    def __init__(self, counts: Tensor, *, size: int, least: int, dim: int) -> None:
        super().__init__()
        rest = size - least * len(counts)
        if rest < 0:
            raise InputError(
                f"{least} places for each of {len(counts)} classes are more than the {size} of the queue: pass a "
                "larger `--model.queue`."
            )
        shares = (counts.float() / counts.float().sum()).cumsum(0)  # in float32, as in the official code
        ends = (least * torch.arange(1, len(counts) + 1) + rest * shares).ceil().long().clamp(max=size)
        starts = torch.cat([ends.new_zeros(1), ends[:-1]])
        self.register_buffer("first", starts, persistent=False)
        self.register_buffer("places", ends - starts, persistent=False)
        self.register_buffer("labels", torch.arange(len(counts)).repeat_interleave(ends - starts), persistent=False)
        self.register_buffer("features", F.normalize(torch.randn(len(self.labels), dim), dim=1))
        self.register_buffer("images", torch.arange(-len(self.labels), 0))
        self.register_buffer("next", torch.zeros_like(starts))

    @torch.no_grad()
    def push(self, features: Tensor, labels: Tensor, images: Tensor) -> None:
        """Store the features of a batch; of more than a class has places for, the first ones.

        Args:
            features: (N, D).
            labels: (N,) class indices.
            images: (N,) positions of the images in the training split.
        """
        earlier = (labels[:, None] == labels).tril(-1).sum(1)
        kept = earlier < self.places[labels]
        features, labels, images, earlier = (part[kept] for part in (features, labels, images, earlier))
        taken = self.first[labels] + (self.next[labels] + earlier) % self.places[labels]
        self.features[taken] = features.to(self.features)
        self.images[taken] = images
        self.next.add_(torch.bincount(labels, minlength=len(self.next))).remainder_(self.places)
