"""Where the embeddings of each class point, estimated as they come."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltr import distributed
from ltr.counts import per_class

START = 0.9


class ClassDirections(nn.Module):
    """Average the embeddings of every class over this epoch so far and the whole epoch before.

    Sums and numbers are what is kept, so that the order of the samples does not matter, and those of all processes are
    added. Until a class is seen, its mean is a random one of length 0.9. All is in the checkpoint.

    Args:
        classes: C.
        size: size P of an embedding.

    Reference:
        `EstimatorCV` of LeapLabTHU/ProCo, ProCo_cifar/loss/proco.py, and the two of them that take turns in its
        `ProCoLoss`.
    """

    start: Tensor
    sums: Tensor
    seen: Tensor

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.register_buffer("start", START * F.normalize(torch.randn(classes, size)))
        self.register_buffer("sums", torch.zeros(2, classes, size))
        self.register_buffer("seen", torch.zeros(2, classes))

    def begin_epoch(self) -> None:
        """Let this epoch be the one before, and forget that."""
        for kept in (self.sums, self.seen):
            kept[0].copy_(kept[1])
            kept[1].zero_()

    @torch.no_grad()
    def add(self, embeddings: Tensor, labels: Tensor) -> None:
        """Add embeddings (B, V, P) of samples with labels (B,), of all processes."""
        classes, views = len(self.start), embeddings.shape[1]
        summed = self.sums.new_zeros(self.sums.shape[1:]).index_add(0, labels, embeddings.sum(1).to(self.sums.dtype))
        self.sums[1] += distributed.total(summed)
        self.seen[1] += distributed.total(views * per_class(labels, classes))

    def means(self) -> Tensor:
        """Return (C, P) the mean of each class."""
        seen = self.seen.sum(0)[:, None]
        return torch.where(seen > 0, self.sums.sum(0) / seen.clamp(min=1), self.start)
