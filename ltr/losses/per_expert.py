"""A separate loss for every expert."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ltr.contracts import LossFactory, Output
from ltr.counts import CountsLike
from ltr.errors import InputError
from ltr.losses.composite import Composite
from ltr.losses.cross_entropy import CrossEntropy


class PerExpert(Composite):
    """Sum the losses of the experts: sum_e l_e(z_e, y), with one loss for all experts or one for each.

    Each loss gets the logits of its expert and that expert's part of the features. It is a sum, not a mean, as in the
    official code of RIDE and SADE: an expert learns as fast as it would alone, and the shared stages get the gradients
    of all experts.

    Args:
        counts: (C,) training images per class.
        losses: build the losses, in the order of the experts; a single one is used for all.

    Shape:
        output.experts (E, B, C), labels (B,) -> (B,).

    Reference:
        Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; Zhang et al., "Self-Supervised Aggregation of Diverse Experts for
        Test-Agnostic Long-Tailed Recognition", NeurIPS 2022, https://arxiv.org/abs/2107.09249, whose
        `DiverseExpertLoss` (Vanint/SADE-AgnosticLT, model/loss.py) is `CrossEntropy`, `BalancedSoftmax` and
        `InverseSoftmax`, one for each of three experts.

    Example:
        >>> experts = torch.tensor([[[2.0, 0.0, -1.0]], [[1.0, 0.0, 0.0]]])
        >>> loss = PerExpert(torch.tensor([100, 10, 1]))
        >>> loss(Output(experts.mean(0), torch.zeros(1, 2), experts=experts), torch.tensor([0])).item()
        0.7212...
    """

    needs = ("experts",)

    def __init__(self, counts: CountsLike, *, losses: Sequence[LossFactory] = (CrossEntropy,)) -> None:
        super().__init__(counts, losses)
        if not losses:
            raise InputError("PerExpert needs at least one loss: give one for all experts, or one for each.")

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        assert output.experts is not None
        experts = output.experts
        losses = [self.parts[0]] * len(experts) if len(self.parts) == 1 else list(self.parts)
        if len(losses) != len(experts):
            raise InputError(
                f"{len(losses)} losses for {len(experts)} experts: give one loss for all, or one for each."
            )
        known = output.features.dim() > 1  # else a loss that needs them says so
        features = output.features.tensor_split(len(experts), 1) if known else [output.features] * len(experts)
        values = [
            loss(output._replace(logits=logits, features=part, experts=None), labels)
            for loss, logits, part in zip(losses, experts, features, strict=True)
        ]
        return torch.stack(values).sum(0)
