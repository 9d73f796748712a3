"""RIDE: experts that agree on the frequent classes and differ on the rare ones."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr import switch
from ltr.contracts import LossFactory, Output
from ltr.counts import populated
from ltr.losses.class_balanced import ClassBalanced
from ltr.losses.composite import Composite
from ltr.losses.deferred import Deferred
from ltr.losses.ldam import LDAM
from ltr.losses.per_expert import PerExpert, logits_of


class RIDE(Composite):
    """Teach every expert by itself, and let them differ: sum_e (l(z_e, y) + lambda Tm^2 KL(p || p_e)).

    p is the softmax of mean_e z_e / T, through which no gradient flows, p_e that of z_e / T, and Tm the mean of the
    temperatures T_c. A negative lambda rewards experts for leaving the mean, a positive one holds them to it, and 0
    leaves the individual losses alone. (In the official code 0 also replaces every expert's logits by the mean, which
    is another method, a collaborative loss.) In the first part of the run T_c is constant; then it is proportional to
    1 + rho (C pi_c - 1), with 1 the largest, so that experts differ most on the rare classes, and l is re-weighted.

    It is a sum over the experts, not a mean, as in the official code.

    Args:
        counts: (C,) training images per class, N_c; pi_c = N_c / N.
        loss: builds the individual loss l; `CrossEntropy` is the other one of the paper.
        diversity: lambda.
        start: the fraction of the run at which re-weighting and temperatures set in; 0.8 is epoch 160 (from 0) of 200.
        beta: of the `ClassBalanced` re-weighting of l.
        spread: rho, how far the temperatures differ, in [0, 1).
        temperature: the largest T_c, and that of all classes before `start`.

    Shape:
        output.experts (E, B, C), labels (B,) -> (B,).

    Reference:
        Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; official code frank-xwang/RIDE-LongTailRecognition, model/loss.py.

    Example:
        >>> experts = torch.tensor([[[9.0, 0.0, 3.0]], [[3.0, 0.0, 9.0]]])
        >>> output = Output(experts.mean(0), torch.zeros(1, 2), experts=experts)
        >>> for diversity in (0.0, -0.45, 0.45):
        ...     print(f"{RIDE(torch.tensor([100, 10, 1]), diversity=diversity)(output, torch.tensor([2])).item():.2f}")
        6.51
        4.43
        8.58
    """

    temperatures: Tensor

    def __init__(
        self,
        counts: Tensor,
        *,
        loss: LossFactory = LDAM,
        diversity: float = -0.45,
        start: float = 0.8,
        beta: float = 0.9999,
        spread: float = 0.05,
        temperature: float = 1.0,
    ) -> None:
        weighted = partial(ClassBalanced, loss=loss, beta=beta)
        super().__init__(
            counts, [partial(PerExpert, losses=[partial(Deferred, before=loss, after=weighted, start=start)])]
        )
        self.diversity, self.start, self.temperature, self.started = diversity, start, temperature, False
        relative = 1 + spread * (len(counts) * populated(counts) / counts.sum() - 1)
        temperatures = (temperature * relative / relative.max()).to(torch.get_default_dtype())
        self.register_buffer("temperatures", temperatures, persistent=False)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Hear that epoch `epoch` (from 0) of `epochs` starts."""
        super().set_epoch(epoch, epochs)
        self.started = switch.reached(self.start, epoch, epochs)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        (individual,) = self.parts
        values: Tensor = individual(output, labels)
        return values + self.diversity * self.disagreement(logits_of(output)) if self.diversity else values

    def disagreement(self, experts: Tensor) -> Tensor:
        """Return (B,) Tm^2 sum_e KL(p || p_e) of the experts' logits (E, B, C)."""
        experts = self.precise(experts)
        temperatures = self.temperatures if self.started else experts.new_full((1,), self.temperature)
        together = (experts.detach().mean(0) / temperatures).log_softmax(1)
        single = (experts / temperatures).log_softmax(2)
        divergence = F.kl_div(single, together.expand_as(single), reduction="none", log_target=True).sum((0, 2))
        return temperatures.mean().square() * divergence
