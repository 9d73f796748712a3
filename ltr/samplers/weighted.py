"""The base class of samplers that draw classes with given probabilities."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ltr.contracts import Sampler
from ltr.counts import per_class


class Weighted(Sampler):
    """Draw a class by its share, then one of its images uniformly: N draws with replacement.

    Such a sampler changes the class prior of the batches. A loss that uses the counts does not know of this.

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
        # Inverse transform sampling, because torch.multinomial limits the number of images.
        steps = (self.shares() / self.counts)[self.labels].cumsum(0)
        draws = torch.rand(self.size, generator=generator, dtype=torch.float64) * steps[-1]
        return torch.searchsorted(steps, draws, right=True).clamp_(max=len(self.labels) - 1)
