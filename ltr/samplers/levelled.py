"""Random over- and undersampling: as many images of every class."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Sampler
from ltr.samplers.cycle import cycle, members


class Levelled(Sampler):
    """Show `level` images of every class in an epoch, each image of a class equally often up to one time.

    Args:
        labels: (N,) class indices of the training split.
        level: the images of a class.
    """

    def __init__(self, labels: Tensor, level: int) -> None:
        super().__init__(labels)
        self.members, self.level = members(labels), level
        self.size = level * len(self.members)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return (C * level,) indices."""
        chosen = torch.cat([cycle(part, self.level, generator) for part in self.members])
        return chosen[torch.randperm(self.size, generator=generator)]


class Oversampling(Levelled):
    """Random oversampling: repeat the images of every class until it has N_max.

    An epoch has C * N_max images, several times those of the split: the same number of epochs is a longer training.

    Args:
        labels: (N,) class indices of the training split.

    Reference:
        Buda et al., "A Systematic Study of the Class Imbalance Problem in Convolutional Neural Networks", Neural
        Networks 2018, https://arxiv.org/abs/1710.05381.
    """

    def __init__(self, labels: Tensor) -> None:
        super().__init__(labels, int(labels.bincount().max()))


class Undersampling(Levelled):
    """Random undersampling: leave N_min images of every class, others in each epoch.

    An epoch has C * N_min images, a small part of the split: the same number of epochs is a shorter training.

    Args:
        labels: (N,) class indices of the training split.

    Reference:
        Buda et al., "A Systematic Study of the Class Imbalance Problem in Convolutional Neural Networks", Neural
        Networks 2018, https://arxiv.org/abs/1710.05381, which leaves out the same images in all epochs.
    """

    def __init__(self, labels: Tensor) -> None:
        counts = labels.bincount()
        super().__init__(labels, int(counts[counts > 0].min()))
