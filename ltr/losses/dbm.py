"""DBM: an angular margin for rare classes and hard samples."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from ltr.contracts import LossFactory, Output
from ltr.counts import Counts, inverse_frequency
from ltr.losses.balanced_softmax import BalancedSoftmax
from ltr.losses.composite import Composite
from ltr.ranges import NonNegative

TINY = 1e-12


class DBM(Composite):
    """Add a margin to the angle of the true class, in any loss on cosines: s cos theta_y becomes s cos(theta_y + phi).

    phi = m_y (1 + lambda (1 - cos theta_y) / 2) for a sample whose true class does not have the largest cosine, and m_y
    for the others. The margin of a class grows with its rarity, m_c = K (N_min / N_c)^tau.

    Where theta_y + phi would exceed pi, the cosine is cos theta_y + cos phi - 1, so that the loss keeps rising with the
    angle. The logits must be those of a `Cosine` head, whose scale is s. The margin applies in training only.

    Args:
        counts: (C,) training images per class, N_c.
        loss: builds the loss of the changed logits.
        margin: K, the margin of the rarest class, in radians (max_margin in the official code).
        tau: how fast the margin falls with the number of images.
        instance: lambda, strength of the margin for misclassified samples; 0 leaves only the margin of the class.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Son et al., "Difficulty-aware Balancing Margin Loss for Long-tailed Recognition", AAAI 2025,
        https://arxiv.org/abs/2412.15477; official code quotation2520/dbm_ltr, cifar/losses/dbm.py, whose margins are
        relative to the last class, not to the rarest, and which has no rule for angles beyond pi.

    Example:
        >>> loss = DBM(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, 5.0]]), scale=10.0), torch.tensor([0])).item()
        0.1966...
    """

    needs = ("scale",)
    margins: Tensor

    def __init__(
        self,
        counts: Counts,
        *,
        loss: LossFactory = BalancedSoftmax,
        margin: NonNegative = 0.1,
        tau: NonNegative = 1.0,
        instance: NonNegative = 1.0,
    ) -> None:
        super().__init__(counts, [loss])
        self.instance = instance
        self.register_buffer("margins", margin * inverse_frequency(counts, tau), persistent=False)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        (loss,) = self.parts
        logits, scale = self.precise(output.logits), cast("float", output.scale)
        true = labels[:, None]
        cosine = logits.gather(1, true) / scale
        wrong = logits.gather(1, true) < logits.amax(1, keepdim=True)
        margin = self.margins[true].to(logits.dtype) * (1 + self.instance * wrong * (1 - cosine) / 2)
        margin = margin.clamp(0, math.pi)
        # The floor keeps the gradient of the root finite if feature and weight are parallel.
        sine = (1 - cosine.square()).clamp(min=TINY).sqrt()
        shifted = cosine * margin.cos() - sine * margin.sin()
        shifted = torch.where(cosine > -margin.cos(), shifted, cosine + margin.cos() - 1)
        values: Tensor = loss(output._replace(logits=logits.scatter(1, true, scale * shifted)), labels)
        return values
