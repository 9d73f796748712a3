"""What the samplers share that draw classes with given shares."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ltr.contracts import Sampler
from ltr.counts import per_class


class Weighted(Sampler):
    """Draw a class by its share, then an image of it uniformly; with replacement, as many draws as there are images.

    Such a sampler changes the prior that the network sees, which a loss that knows the counts does not hear of.

    Args:
        labels: (N,) class indices of the training split.
    """

    def __init__(self, labels: Tensor) -> None:
        super().__init__(labels)
        self.counts = per_class(labels, int(labels.max()) + 1).double()

    @abstractmethod
    def shares(self) -> Tensor:
        """Return (C,) how often each class is drawn in this epoch, up to a factor."""

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return (N,) indices."""
        # Inverting the distribution function has no limit on the number of images, unlike torch.multinomial.
        steps = (self.shares() / self.counts)[self.labels].cumsum(0)
        draws = torch.rand(self.size, generator=generator, dtype=torch.float64) * steps[-1]
        return torch.searchsorted(steps, draws, right=True).clamp_(max=len(self.labels) - 1)
