"""Two streams in one batch: the set as it is and the set reversed."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Sampler
from ltr.samplers.power import Power


class Bilateral(Sampler):
    """Pair every image of an instance-sampled epoch with one of a reversed stream, for one network.

    An epoch has 2N images; a batch of an even size holds as many of either stream, so that 128 stand for the 64 + 64 of
    the public code. In a distributed run each process has half of either stream in the mean.

    Args:
        labels: (N,) class indices of the training split.
        q: the power of the count by which the second stream draws classes; -1 reverses the set.

    Reference:
        "BBN-style sampling" of Zhang et al., "Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional
        Neural Networks", AAAI 2021, zhangyongshun/BagofTricks-LT; after Zhou et al., "BBN: Bilateral-Branch Network
        with Cumulative Learning for Long-Tailed Visual Recognition", CVPR 2020, https://arxiv.org/abs/1912.02413.
    """

    def __init__(self, labels: Tensor, *, q: float = -1.0) -> None:
        super().__init__(labels)
        self.streams = Power(labels), Power(labels, q=q)
        self.size = 2 * len(labels)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return (2N,) indices, pair after pair."""
        pairs = torch.stack([stream.draw(generator) for stream in self.streams], 1)
        # Processes take turns at the indices: without a drawn order in the pairs, each would see one stream alone.
        swapped = torch.rand(len(pairs), 1, generator=generator) < 0.5
        return torch.where(swapped, pairs.flip(1), pairs).flatten()
