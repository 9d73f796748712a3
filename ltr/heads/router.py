"""Classifiers that are asked one after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltr.contracts import HeadFactory, Loss, Output
from ltr.heads.cosine import Cosine
from ltr.heads.expert_heads import ExpertHeads


class Router(ExpertHeads):
    """Ask trained experts one after the other, as long as a gate sends the sample on; the logits are the mean so far.

    Gate i looks at the largest logits of the mean of the first i experts and at a small view of the feature of expert
    i: w . [top-k(mean_{e <= i} z_e); ReLU(V_i h_i / ||h_i|| + b_i)] + a, where w and a are the same for all gates.
    Above 0, where the probability exceeds one half, expert i + 1 is asked. The classifiers stay as they are.

    Args:
        dim: size of a feature, the experts' ones side by side: E * D.
        classes: number of classes C.
        experts: how many experts, E, as the backbone has them.
        head: builds the classifier of one expert from (D, C).
        top: k, how many of the largest logits a gate sees, at most C.
        hidden: size of its view of the feature.

    Shape:
        features (B, E * D) -> logits (B, C) and experts (E, B, C), not a number where an expert is not asked.

    Reference:
        Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; official code frank-xwang/RIDE-LongTailRecognition,
        model/ldam_drw_resnets/ea_resnet_cifar.py.
    """

    def __init__(
        self,
        dim: int,
        classes: int,
        *,
        experts: int = 3,
        head: HeadFactory = Cosine,
        top: int = 30,
        hidden: int = 16,
    ) -> None:
        super().__init__(dim, classes, experts=experts, head=head)
        self.heads.requires_grad_(False)
        self.top = min(top, classes)
        self.views = nn.ModuleList(nn.Linear(dim // experts, hidden) for _ in range(experts - 1))
        self.gate = nn.Linear(self.top + hidden, 1)
        for layer in (*self.views, self.gate):
            nn.init.kaiming_normal_(layer.weight)
        gates = tuple(name for name in self.state_dict() if name.startswith(("views.", "gate.")))
        self.added = (*self.added, *gates)

    def ask(self, number: int, logits: Tensor, feature: Tensor) -> Tensor:
        """Return (B,) what gate `number` (from 0) says.

        Args:
            number: the expert that was asked last.
            logits: (B, C) mean logits so far.
            feature: (B, D) feature of that expert.
        """
        view = F.relu(self.views[number](F.normalize(feature)))
        seen = logits.topk(self.top, 1).values.to(view.dtype)
        gates: Tensor = self.gate(torch.cat([seen, view], 1))
        return Loss.precise(gates.squeeze(1))

    def everything(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ask all experts and all gates.

        Args:
            features: (B, E * D).

        Returns:
            The logits of each expert (E, B, C), their running means (E, B, C), and the gates (E - 1, B).
        """
        parts = features.chunk(self.experts, 1)
        experts = Loss.precise(torch.stack([answer.logits for answer in self.answers(features)]))
        ranks = torch.arange(1, self.experts + 1, device=experts.device)
        means = experts.cumsum(0) / ranks[:, None, None]
        gates = [self.ask(number, means[number], parts[number]) for number in range(self.experts - 1)]
        return experts, means, torch.stack(gates) if gates else experts.new_zeros(0, len(features))

    def forward(self, features: Tensor) -> Output:
        """Map features (B, E * D) to the mean logits (B, C) of the experts that are asked."""
        experts, means, gates = self.everything(features)
        asked = torch.cat([gates.new_ones(1, len(features)), (gates > 0).to(gates.dtype)]).cumprod(0) > 0
        last = asked.sum(0) - 1
        logits = means[last, torch.arange(len(features), device=last.device)]
        return Output(logits, features, experts=experts.where(asked[:, :, None], torch.nan))
