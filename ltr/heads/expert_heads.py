"""One classifier per expert."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ltr.contracts import Head, HeadFactory, Output
from ltr.errors import InputError
from ltr.heads.cosine import Cosine
from ltr.ranges import Count


class ExpertHeads(Head):
    """Give each expert of a `MultiExpert` backbone its own classifier; the logits are the mean over the experts.

    Args:
        dim: size of the concatenated features of the experts, E * D.
        classes: number of classes C.
        experts: number of experts E, the same as in the backbone.
        head: builds the classifier of one expert from (D, C).

    Shape:
        features (B, E * D) -> logits (B, C) and experts (E, B, C).

    Reference:
        Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; official code frank-xwang/RIDE-LongTailRecognition,
        model/ldam_drw_resnets/ride_resnet_cifar.py.
    """

    def __init__(self, dim: Count, classes: Count, *, experts: Count = 3, head: HeadFactory = Cosine) -> None:
        super().__init__(dim, classes)
        if dim % experts:
            raise InputError(
                f"a feature of {dim} numbers cannot be divided between {experts} experts: set `experts` of the head to "
                "that of the backbone."
            )
        self.experts = experts
        heads = [head(dim // experts, classes) for _ in range(experts)]
        self.heads = nn.ModuleList(heads)
        self.added = tuple(f"heads.{number}.{name}" for number, expert in enumerate(heads) for name in expert.added)

    def answers(self, features: Tensor) -> list[Output]:
        """Return the output of each expert for its part of features (B, E * D)."""
        return [head(part) for head, part in zip(self.heads, features.chunk(self.experts, 1), strict=True)]

    def lengths(self) -> Tensor | None:
        """Return (E, C) the weight norms of each expert's classifier."""
        each = [cast("Head", head).lengths() for head in self.heads]
        known = [lengths for lengths in each if lengths is not None]
        return torch.cat(known) if known else None

    def forward(self, features: Tensor) -> Output:
        """Map features (B, E * D) to the mean logits (B, C) and the logits of the experts."""
        answers = self.answers(features)
        experts = torch.stack([answer.logits for answer in answers])
        return Output(experts.mean(0), features, experts=experts, scale=answers[0].scale)
