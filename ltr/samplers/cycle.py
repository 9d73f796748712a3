"""Shuffled rounds through the images of a class."""

from __future__ import annotations

import torch
from torch import Tensor


def cycle(members: Tensor, visits: int, generator: torch.Generator) -> Tensor:
    """Return (visits,) images of one class in shuffled rounds; the last round may be incomplete.

    All images are visited equally often, up to one visit; which images get one more is random.

    Args:
        members: (N_c,) the images of the class.
        visits: number of images to return.
        generator: the random generator.
    """
    rounds = -(-visits // len(members))
    order = torch.rand(rounds, len(members), generator=generator, dtype=torch.float64).argsort(1)
    return members[order.flatten()[:visits]]


def members(labels: Tensor) -> list[Tensor]:
    """Return the positions of each class that occurs among labels (N,)."""
    counts = labels.bincount()
    return list(torch.split(labels.argsort(stable=True), counts[counts > 0].tolist()))
