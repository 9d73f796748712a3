"""BBN-style sampling: two streams in one batch, with the original and the reversed class distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Sampler
from ltr.samplers.power import Power


class Bilateral(Sampler):
    """Pair every image of the data set with one of a reversed stream, for a single network or for `BBN`.

    An epoch has 2N images: those of the original distribution at even positions, those of the reversed one at odd
    positions. A batch of even size has the same number of both, so a batch size of 128 is the 64 + 64 of the public
    code. Distributed processes divide whole pairs between them.

    Args:
        labels: (N,) class indices of the training split.
        q: power of the count in the second stream; -1 reverses the class distribution.

    Reference:
        "BBN-style sampling" of Zhang et al., "Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional
        Neural Networks", AAAI 2021, zhangyongshun/BagofTricks-LT; after Zhou et al., "BBN: Bilateral-Branch Network
        with Cumulative Learning for Long-Tailed Visual Recognition", CVPR 2020, https://arxiv.org/abs/1912.02413.
    """

    streams = 2

    def __init__(self, labels: Tensor, *, q: float = -1.0) -> None:
        super().__init__(labels)
        self.halves = Power(labels), Power(labels, q=q)
        self.size = 2 * len(labels)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return (2N,) indices, pair by pair."""
        return torch.stack([stream.draw(generator) for stream in self.halves], 1).flatten()
