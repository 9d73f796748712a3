"""SphereFace: a multiplicative angular margin."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike
from ltr.ranges import Count, WholeNumber

# lambda = max(LEAST, BASE / (1 + GAMMA * iteration)), as in the network of the official code.
BASE, GAMMA, LEAST = 1000.0, 0.12, 5.0


class SphereFace(Loss):
    """Multiply the angle of the true class: its logit is ||h|| (lambda cos theta_y + psi(theta_y)) / (1 + lambda).

    psi(theta) = (-1)^k cos(m theta) - 2k on the k-th of m segments of [0, pi] extends cos(m theta) monotonically. The
    logits must be the ||h|| cos theta_c of `Cosine(scale=None)`. The margin applies in training only.

    lambda is annealed over the iterations of training, from the cosine towards psi. A loss only knows the epoch, so
    training of any length is mapped to `iterations` iterations, in steps of an epoch.

    Args:
        counts: (C,) training images per class; not used.
        margin: m, an integer.
        iterations: iterations over which lambda is annealed; by default those of the official code.

    Shape:
        output.logits (B, C), output.features (B, D), labels (B,) -> (B,).

    Reference:
        Liu et al., "SphereFace: Deep Hypersphere Embedding for Face Recognition", CVPR 2017,
        https://arxiv.org/abs/1704.08063; official code wy1iu/sphereface, train/code/sphereface_model.prototxt and
        sphereface_solver.prototxt. Compared with ronghuaiyang/arcface-pytorch, models/metrics.py.

    Example:
        >>> loss = SphereFace(torch.tensor([100, 10, 1]))
        >>> loss.set_epoch(9, 10)
        >>> output = Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[4.0]]), scale="norm")
        >>> loss(output, torch.tensor([0])).item()
        0.5319...
    """

    needs = ("features", "norm")

    def __init__(self, counts: CountsLike, *, margin: Count = 4, iterations: WholeNumber = 28_000) -> None:
        super().__init__(counts)
        self.margin, self.iterations = margin, iterations
        self.set_epoch(0, 1)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        self.annealing = max(LEAST, BASE / (1 + GAMMA * self.iterations * epoch / epochs))

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        logits = self.precise(output.logits)
        lengths = output.features.to(logits.dtype).norm(dim=1, keepdim=True).clamp(min=torch.finfo(logits.dtype).tiny)
        plain = logits.gather(1, labels[:, None])
        cosine = (plain / lengths).clamp(-1, 1)
        segment = (cosine.detach().acos() * self.margin / math.pi).floor()
        sign = 1 - 2 * (segment % 2)
        psi = sign * self._multiple(cosine) - 2 * segment
        blended = (self.annealing * plain + lengths * psi) / (1 + self.annealing)
        return F.cross_entropy(logits.scatter(1, labels[:, None], blended), labels, reduction="none")

    def _multiple(self, cosine: Tensor) -> Tensor:
        """Return cos(m theta) from cos(theta), by the recurrence of the Chebyshev polynomials."""
        before, value = torch.ones_like(cosine), cosine
        for _ in range(self.margin - 1):
            before, value = value, 2 * cosine * value - before
        return value
