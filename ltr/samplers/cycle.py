"""Visiting the images of a class in shuffled rounds."""

from __future__ import annotations

import torch
from torch import Tensor


def cycle(members: Tensor, visits: int, generator: torch.Generator) -> Tensor:
    """Return (visits,) images of one class: as many shuffled rounds through it as are needed, the last one cut.

    Every image is visited equally often, up to one visit, and which ones gain by it is drawn.

    Args:
        members: (N_c,) the images of the class.
        visits: length of the result.
        generator: what the rounds are drawn from.
    """
    rounds = -(-visits // len(members))
    order = torch.rand(rounds, len(members), generator=generator, dtype=torch.float64).argsort(1)
    return members[order.flatten()[:visits]]


def members(labels: Tensor) -> list[Tensor]:
    """Return the positions of each class that occurs among labels (N,)."""
    counts = labels.bincount()
    return list(torch.split(labels.argsort(stable=True), counts[counts > 0].tolist()))
