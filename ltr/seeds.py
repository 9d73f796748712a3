"""Random numbers that depend on (seed, epoch, rank) alone: a resumed run draws what an undisturbed one draws."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def borrowed() -> Iterator[None]:
    """Put back the seed of the process and its global generators at the end, whatever is set and drawn in between."""
    said = {name: os.environ.get(name) for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")}
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what others draw from
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        for name, value in said.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
