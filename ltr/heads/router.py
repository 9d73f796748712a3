"""Dynamic routing: classifiers that are evaluated one after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltr.contracts import HeadFactory, Loss, Output
from ltr.heads.cosine import Cosine
from ltr.heads.expert_heads import ExpertHeads
from ltr.ranges import Count


class Router(ExpertHeads):
    """Evaluate trained experts one after the other until a gate stops; the logits are the mean so far.

    Gate i gets the largest mean logits of the first i experts and a small projection of the feature of expert i:
    w . [top-k(mean_{e <= i} z_e); ReLU(V_i h_i / ||h_i|| + b_i)] + a, where w and a are shared by all gates. If it is
    above 0, that is if its probability exceeds one half, expert i + 1 is evaluated. The classifiers are frozen.

    Args:
        dim: size of the concatenated features of the experts, E * D.
        classes: number of classes C.
        experts: number of experts E, the same as in the backbone.
        head: builds the classifier of one expert from (D, C).
        top: k, the number of largest logits a gate gets, at most C.
        hidden: size of the projection of the feature.

    Shape:
        features (B, E * D) -> logits (B, C) and experts (E, B, C), NaN for experts that are not evaluated.

    Reference:
        Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; official code frank-xwang/RIDE-LongTailRecognition,
        model/ldam_drw_resnets/ea_resnet_cifar.py.
    """

    def __init__(
        self,
        dim: Count,
        classes: Count,
        *,
        experts: Count = 3,
        head: HeadFactory = Cosine,
        top: Count = 30,
        hidden: Count = 16,
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
        """Return (B,) the logits of gate `number` (from 0).

        Args:
            number: the expert that was evaluated last.
            logits: (B, C) mean logits so far.
            feature: (B, D) feature of that expert.
        """
        view = F.relu(self.views[number](F.normalize(feature)))
        seen = logits.topk(self.top, 1).values.to(view.dtype)
        gates: Tensor = self.gate(torch.cat([seen, view], 1))
        return Loss.precise(gates.squeeze(1))

    def everything(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate all experts and all gates.

        Args:
            features: (B, E * D).

        Returns:
            The logits of each expert (E, B, C), their running means (E, B, C), and the logits of the gates (E - 1, B).
        """
        parts = features.chunk(self.experts, 1)
        experts = Loss.precise(torch.stack([answer.logits for answer in self.answers(features)]))
        ranks = torch.arange(1, self.experts + 1, device=experts.device)
        means = experts.cumsum(0) / ranks[:, None, None]
        gates = [self.ask(number, means[number], parts[number]) for number in range(self.experts - 1)]
        return experts, means, torch.stack(gates) if gates else experts.new_zeros(0, len(features))

    def forward(self, features: Tensor) -> Output:
        """Map features (B, E * D) to the mean logits (B, C) of the evaluated experts."""
        experts, means, gates = self.everything(features)
        evaluated = torch.cat([gates.new_ones(1, len(features)), (gates > 0).to(gates.dtype)]).cumprod(0) > 0
        last = evaluated.sum(0) - 1
        logits = means[last, torch.arange(len(features), device=last.device)]
        return Output(logits, features, experts=experts.where(evaluated[:, :, None], torch.nan))
