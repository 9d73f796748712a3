"""Random over- and undersampling: the same number of images for every class."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Sampler


class Resampled(Sampler):
    """Resample every class to `images` images per epoch; its images appear equally often, up to one time.

    Args:
        labels: (N,) class indices of the training split.
        images: images per class and epoch.
    """

    def __init__(self, labels: Tensor, images: int) -> None:
        super().__init__(labels)
        self.members, self.images = members(labels), images
        self.size = images * len(self.members)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return (C * images,) indices."""
        chosen = torch.cat([cycle(part, self.images, generator) for part in self.members])
        return chosen[torch.randperm(self.size, generator=generator)]


class Oversampling(Resampled):
    """Random oversampling: repeat the images of every class until it has N_max.

    An epoch has C * N_max images, several times those of the split, so the same number of epochs takes longer.

    Args:
        labels: (N,) class indices of the training split.

    Reference:
        Buda et al., "A Systematic Study of the Class Imbalance Problem in Convolutional Neural Networks", Neural
        Networks 2018, https://arxiv.org/abs/1710.05381.
    """

    def __init__(self, labels: Tensor) -> None:
        super().__init__(labels, int(labels.bincount().max()))


class Undersampling(Resampled):
    """Random undersampling: use N_min images of every class, new ones in each epoch.

    An epoch has C * N_min images, a small part of the split, so the same number of epochs is shorter.

    Args:
        labels: (N,) class indices of the training split.

    Reference:
        Buda et al., "A Systematic Study of the Class Imbalance Problem in Convolutional Neural Networks", Neural
        Networks 2018, https://arxiv.org/abs/1710.05381, which removes the same images in all epochs.
    """

    def __init__(self, labels: Tensor) -> None:
        counts = labels.bincount()
        super().__init__(labels, int(counts[counts > 0].min()))


def cycle(members: Tensor, visits: int, generator: torch.Generator) -> Tensor:
    """Return (visits,) images of one class in shuffled rounds; the last round may be incomplete.

    All images are visited equally often, up to one visit; which images get one more is random.

    Args:
        members: (N_c,) the images of the class.
        visits: number of images to return.
        generator: the random generator.
    """
    rounds = -(-visits // len(members))
    order = torch.rand(rounds, len(members), generator=generator, dtype=torch.float64).argsort(1)
    return members[order.flatten()[:visits]]


def members(labels: Tensor) -> list[Tensor]:
    """Return the positions of each class that occurs among labels (N,)."""
    counts = labels.bincount()
    return list(torch.split(labels.argsort(stable=True), counts[counts > 0].tolist()))
