"""RIDE: diverse experts, most diverse on the rare classes."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr import milestones
from ltr.contracts import LossFactory, Output
from ltr.counts import CountsLike, populated
from ltr.losses.class_balanced import ClassBalanced
from ltr.losses.composite import Composite
from ltr.losses.deferred import Deferred
from ltr.losses.ldam import LDAM
from ltr.losses.per_expert import PerExpert
from ltr.ranges import BelowOne, InnerFraction, Positive


class RIDE(Composite):
    """Train each expert with its own loss and a diversity term: sum_e (l(z_e, y) + lambda Tm^2 KL(p || p_e)).

    p is the softmax of mean_e z_e / T, without gradient, p_e that of z_e / T, and Tm the mean of the temperatures T_c.
    A negative lambda rewards experts that differ from the mean, a positive one penalises them, and 0 leaves only the
    individual losses. (In the official code 0 also replaces the logits of every expert by the mean, which is a
    different, collaborative method.) In the first part of training T_c is constant. Then it is proportional to
    1 + rho (C pi_c - 1), scaled so that the largest is 1: experts differ most on the rare classes. From there on l is
    re-weighted too.

    It is a sum over the experts, not a mean, as in the official code.

    Args:
        counts: (C,) training images per class, N_c; pi_c = N_c / N.
        loss: builds the individual loss l; the paper also uses `CrossEntropy`.
        diversity: lambda.
        start: the fraction of training at which re-weighting and temperatures start; 0.8 is epoch 160 (from 0) of 200.
        beta: of the `ClassBalanced` re-weighting of l.
        spread: rho, how far the temperatures differ, in [0, 1).
        temperature: the largest T_c; before `start`, that of all classes.

    Shape:
        output.experts (E, B, C), labels (B,) -> (B,).

    Reference:
        Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; official code frank-xwang/RIDE-LongTailRecognition, model/loss.py.

    Example:
        >>> experts = torch.tensor([[[9.0, 0.0, 3.0]], [[3.0, 0.0, 9.0]]])
        >>> output = Output(experts.mean(0), torch.zeros(1, 2), experts=experts, scale=1.0)
        >>> for diversity in (0.0, -0.45, 0.45):
        ...     print(f"{RIDE(torch.tensor([100, 10, 1]), diversity=diversity)(output, torch.tensor([2])).item():.2f}")
        6.51
        4.43
        8.58
    """

    needs = ("experts",)
    temperatures: Tensor

    def __init__(
        self,
        counts: CountsLike,
        *,
        loss: LossFactory = LDAM,
        diversity: float = -0.45,
        start: InnerFraction = 0.8,
        beta: BelowOne = 0.9999,
        spread: BelowOne = 0.05,
        temperature: Positive = 1.0,
    ) -> None:
        weighted = partial(ClassBalanced, loss=loss, beta=beta)
        super().__init__(
            counts, [partial(PerExpert, losses=[partial(Deferred, before=loss, after=weighted, start=start)])]
        )
        self.diversity, self.start, self.temperature, self.started = diversity, start, temperature, False
        numbers = populated(counts)
        relative = 1 + spread * (len(numbers) * numbers / numbers.sum() - 1)
        temperatures = (temperature * relative / relative.max()).to(torch.get_default_dtype())
        self.register_buffer("temperatures", temperatures, persistent=False)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        super().set_epoch(epoch, epochs)
        self.started = milestones.passed(self.start, epoch, epochs)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        (individual,) = self.parts
        values = individual(output, labels)
        assert output.experts is not None
        return values + self.diversity * self.disagreement(output.experts) if self.diversity else values

    def disagreement(self, experts: Tensor) -> Tensor:
        """Return (B,) Tm^2 sum_e KL(p || p_e) of the experts' logits (E, B, C)."""
        experts = self.precise(experts)
        temperatures = self.temperatures if self.started else experts.new_full((1,), self.temperature)
        together = (experts.detach().mean(0) / temperatures).log_softmax(1)
        single = (experts / temperatures).log_softmax(2)
        divergence = F.kl_div(single, together.expand_as(single), reduction="none", log_target=True).sum((0, 2))
        return temperatures.mean().square() * divergence
