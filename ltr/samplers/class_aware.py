"""Class-aware sampling: cycle through the classes, a few images of each."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Sampler
from ltr.ranges import Count
from ltr.samplers.resampling import cycle, members


class ClassAware(Sampler):
    """Go through the classes in shuffled rounds, `images` of each, and through the images of a class likewise.

    All classes are visited equally often, up to one visit. With `Power` and q 0 this only holds in expectation.

    Args:
        labels: (N,) class indices of the training split.
        images: consecutive images of a class.
        whole: use C * N_max images per epoch, so that every image is seen, as in the code of FBL; else N images, about
            as many as in MiSLAS.

    Reference:
        Shen et al., "Relay Backpropagation for Effective Learning of Deep Convolutional Neural Networks", ECCV 2016,
        https://arxiv.org/abs/1512.05830; juyongjiang/FBL, loader/sampler.py; dvlab-research/MiSLAS, datasets/sampler.py
        and train_stage2.py.
    """

    def __init__(self, labels: Tensor, *, images: Count = 4, whole: bool = True) -> None:
        super().__init__(labels)
        self.images, self.members = images, members(labels)
        if whole:
            self.size = len(self.members) * max(len(part) for part in self.members)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return (size,) indices."""
        classes = len(self.members)
        rounds = -(-self.size // (classes * self.images))
        visits = torch.stack([cycle(part, rounds * self.images, generator) for part in self.members])
        order = torch.rand(rounds, classes, generator=generator, dtype=torch.float64).argsort(1)
        # From (C, rounds, images) by class to (rounds, C, images) in the order of each round.
        turns = visits.view(classes, rounds, self.images)[order, torch.arange(rounds)[:, None]]
        return turns.flatten()[: self.size]
