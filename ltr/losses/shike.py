"""SHIKE: experts that learn from each other and from their most confusing wrong classes."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor

from ltr.contracts import LossFactory, Output
from ltr.counts import CountsLike
from ltr.losses.composite import Composite
from ltr.losses.cross_entropy import CrossEntropy
from ltr.losses.per_expert import PerExpert
from ltr.ranges import NonNegative


class SHIKE(Composite):
    """Train each expert with its own loss, with the wrong answers of all experts and with the answers of each other.

    The value is sum_e [l(z_e, y) + a KL(t || s_e) / C + b sum_{f != e} KL(p_f || p_e) / C], where p_e is the softmax of
    the logits z_e of expert e. s_e is the same with the true logit replaced by -s, the smallest scaled cosine. t is the
    softmax of 0 for the true class, of the mean logit of the experts for the hardest negative, which is the other class
    with the largest mean, and of the largest logit of the experts for the rest: experts that are sure of a wrong class
    learn to doubt it.

    Gradients flow through both sides of the divergences, and divergences are divided by the number of classes, both as
    in the official code. The logits must be those of `Cosine` heads, whose scale is s. It is a sum over the experts.

    Args:
        counts: (C,) training images per class.
        loss: builds the individual loss l.
        hardest: a, weight of the distillation of hardest negatives.
        mutual: b, weight of the mutual distillation.

    Shape:
        output.experts (E, B, C), labels (B,) -> (B,).

    Reference:
        Jin et al., "Long-Tailed Visual Recognition via Self-Heterogeneous Integration with Knowledge Excavation", CVPR
        2023, https://arxiv.org/abs/2304.01279; official code jinyan-06/SHIKE, cifarTrain.py and utils.py.

    Example:
        >>> experts = torch.tensor([[[9.0, 0.0, 3.0]], [[3.0, 0.0, 9.0]]])
        >>> output = Output(experts.mean(0), torch.zeros(1, 2), experts=experts, scale=30.0)
        >>> for hardest, mutual in ((0, 0), (10, 0), (0, 1)):
        ...     loss = SHIKE(torch.tensor([100, 10, 1]), hardest=hardest, mutual=mutual)
        ...     print(f"{loss(output, torch.tensor([2])).item():.2f}")
        6.01
        6.63
        9.98
    """

    needs = ("experts", "scale")

    def __init__(
        self,
        counts: CountsLike,
        *,
        loss: LossFactory = CrossEntropy,
        hardest: NonNegative = 10.0,
        mutual: NonNegative = 1.0,
    ) -> None:
        super().__init__(counts, [partial(PerExpert, losses=[loss])])
        self.hardest, self.mutual = hardest, mutual

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        (individual,) = self.parts
        values: Tensor = individual(output, labels)
        experts = self.precise(cast("Tensor", output.experts))
        from_negatives = self.from_negatives(experts, labels, scale=cast("float", output.scale))
        shared = self.hardest * from_negatives + self.mutual * self.from_each_other(experts)
        return values + shared / experts.shape[2]

    @staticmethod
    def from_negatives(experts: Tensor, labels: Tensor, *, scale: float) -> Tensor:
        """Return (B,) sum_e KL(t || s_e) of the experts' logits (E, B, C)."""
        true = labels[:, None]
        mean, largest = experts.mean(0), experts.max(0).values
        hardest = mean.detach().scatter(1, true, -torch.inf).argmax(1, keepdim=True)
        teacher = largest.scatter(1, hardest, mean.gather(1, hardest)).scatter(1, true, 0.0).log_softmax(1)
        students = experts.scatter(2, true.expand(len(experts), -1, 1), -scale).log_softmax(2)
        return (teacher.exp() * (teacher - students)).sum((0, 2))

    @staticmethod
    def from_each_other(experts: Tensor) -> Tensor:
        """Return (B,) the sum over all ordered pairs of KL(p_f || p_e) of the experts' logits (E, B, C)."""
        answers = experts.log_softmax(2)
        return (answers.exp()[:, None] * (answers[:, None] - answers)).sum((0, 1, 3))
