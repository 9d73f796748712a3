"""Two streams in one batch: the set as it is and the set reversed."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.contracts import Sampler
from ltr.samplers.power import Power


class Bilateral(Sampler):
    """Pair every image of an instance-sampled epoch with one of a reversed stream, for one network or for `BBN`.

    An epoch has 2N images: at even places the images of the set as it is, at odd places those of the reversed one. A
    batch of an even size holds as many of either stream, so that 128 stand for the 64 + 64 of the public code. The
    processes of a distributed run share out whole pairs.

    Args:
        labels: (N,) class indices of the training split.
        q: the power of the count by which the second stream draws classes; -1 reverses the set.

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
        """Return (2N,) indices, pair after pair."""
        return torch.stack([stream.draw(generator) for stream in self.halves], 1).flatten()
