"""ArcFace: an angular margin."""

from __future__ import annotations

import math
from typing import Annotated, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike
from ltr.ranges import Range

TINY = 1e-12


class ArcFace(Loss):
    """Add a margin to the angle of the true class: the cross-entropy of s cos(theta_y + m) and s cos theta_c.

    Where theta_y + m would exceed pi, the logit is s (cos theta_y - m sin m), so that the loss keeps rising with the
    angle. The logits must be those of a `Cosine` head, whose scale is s. The margin applies in training only.

    Args:
        counts: (C,) training images per class; not used.
        margin: m, in radians.
        easy: apply the margin only to angles below pi / 2.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019,
        https://arxiv.org/abs/1801.07698. Compared with ronghuaiyang/arcface-pytorch, models/metrics.py.

    Example:
        >>> loss = ArcFace(torch.tensor([100, 10, 1]), margin=0.1)
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1), scale=10.0), torch.tensor([0])).item()
        0.4036...
    """

    needs = ("scale",)

    def __init__(
        self, counts: CountsLike, *, margin: Annotated[float, Range(least=0, most=math.pi)] = 0.5, easy: bool = False
    ) -> None:
        super().__init__(counts)
        self.margin, self.easy = margin, easy

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        logits = self.precise(output.logits)
        scale = cast("float", output.scale)
        cosine = logits.gather(1, labels[:, None]) / scale
        # The floor keeps the gradient of the root finite if feature and weight are parallel.
        sine = (1 - cosine.square()).clamp(min=TINY).sqrt()
        beyond = cosine if self.easy else cosine - self.margin * math.sin(self.margin)
        limit = 0.0 if self.easy else -math.cos(self.margin)
        shifted = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        shifted = torch.where(cosine > limit, shifted, beyond)
        return F.cross_entropy(logits.scatter(1, labels[:, None], scale * shifted), labels, reduction="none")
