"""Random numbers that depend on (seed, epoch, rank) alone: a resumed run draws what an undisturbed one draws."""

from __future__ import annotations

import os
import random

import numpy as np
import torch

from ltr import distributed


def seed() -> int:
    """Return the seed of the run, as Lightning's `seed_everything` set it (0 where nothing did)."""
    return int(os.environ.get("PL_GLOBAL_SEED", "0"))


def derive(*parts: int) -> int:
    """Return a seed for a tuple of non-negative integers, unrelated to that of its neighbours."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def generator(epoch: int) -> torch.Generator:
    """Return the generator of an epoch that is the same in every process (for samplers)."""
    return torch.Generator().manual_seed(derive(seed(), epoch))


def reseed(epoch: int) -> None:
    """Set the global generators of this process for an epoch (for augmentation, dropout and the like)."""
    value = derive(seed(), epoch, 1 + distributed.rank())
    random.seed(value)
    np.random.seed(value)  # noqa: NPY002 - what others draw from
    torch.manual_seed(value)
