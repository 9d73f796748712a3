"""One classifier per expert."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ltr.contracts import Head, HeadFactory, Output
from ltr.errors import InputError
from ltr.heads.cosine import Cosine


class ExpertHeads(Head):
    """Give each expert of a `MultiExpert` backbone a classifier of its own; the logits are the mean of theirs.

    Args:
        dim: size of a feature, the experts' ones side by side: E * D.
        classes: number of classes C.
        experts: how many experts, E, as the backbone has them.
        head: builds the classifier of one expert from (D, C).

    Shape:
        features (B, E * D) -> logits (B, C) and experts (E, B, C).

    Reference:
        Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; official code frank-xwang/RIDE-LongTailRecognition,
        model/ldam_drw_resnets/ride_resnet_cifar.py.
    """

    def __init__(self, dim: int, classes: int, *, experts: int = 3, head: HeadFactory = Cosine) -> None:
        super().__init__(dim, classes)
        if experts < 1 or dim % experts:
            raise InputError(f"a feature of {dim} numbers cannot be divided between {experts} experts.")
        self.experts = experts
        heads = [head(dim // experts, classes) for _ in range(experts)]
        self.heads = nn.ModuleList(heads)
        self.added = tuple(f"heads.{number}.{name}" for number, own in enumerate(heads) for name in own.added)

    def answers(self, features: Tensor) -> list[Output]:
        """Return what each expert says of its part of features (B, E * D)."""
        return [head(part) for head, part in zip(self.heads, features.chunk(self.experts, 1), strict=True)]

    def lengths(self) -> Tensor | None:
        """Return (E, C) the lengths of the weights of each expert's classifier."""
        each = [cast("Head", head).lengths() for head in self.heads]
        known = [lengths for lengths in each if lengths is not None]
        return torch.cat(known) if known else None

    def forward(self, features: Tensor) -> Output:
        """Map features (B, E * D) to the mean logits (B, C) and those of the experts."""
        answers = self.answers(features)
        experts = torch.stack([answer.logits for answer in answers])
        return Output(experts.mean(0), features, experts=experts, scale=answers[0].scale)
