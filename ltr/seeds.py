"""Random numbers that depend on (seed, epoch, rank) alone: a resumed run draws what an undisturbed one draws."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ltr import distributed


def seed() -> int:
    """Return the seed that Lightning's `seed_everything` set last, 0 if none; to be read once, when a run starts."""
    return int(os.environ.get("PL_GLOBAL_SEED", "0"))


def derive(*parts: int) -> int:
    """Return a seed for a tuple of non-negative integers, unrelated to that of its neighbours."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def generator(seed: int, epoch: int) -> torch.Generator:
    """Return the generator of an epoch that is the same in every process (for samplers)."""
    return torch.Generator().manual_seed(derive(seed, epoch))


def reseed(seed: int, epoch: int) -> None:
    """Set the global generators of this process for an epoch (for augmentation, dropout and the like)."""
    value = derive(seed, epoch, 1 + distributed.rank())
    random.seed(value)
    np.random.seed(value)  # noqa: NPY002 - what others draw from
    torch.manual_seed(value)


class Stream:
    """The global generators of one of several runs that take turns in a process, independent of the others.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generators: Generators | None = None

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Draw from the generators of this run, from where its last turn ended, then put the others back."""
        outside = Generators.now()
        try:
            if self.generators is not None:
                self.generators.put()
            yield
            self.generators = Generators.now()
        finally:
            outside.put()


class Generators(NamedTuple):
    """The states of the global generators of this process.

    Attributes:
        python: of `random`.
        numpy: of `numpy.random`.
        cpu: of torch.
        cuda: of torch on each GPU, none where none is in use.
    """

    python: tuple[Any, ...]
    numpy: Any
    cpu: Tensor
    cuda: list[Tensor]

    @classmethod
    def now(cls) -> Generators:
        """Return the states as they are."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)  # noqa: NPY002

    def put(self) -> None:
        """Make the states these."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002
        torch.set_rng_state(self.cpu)
        torch.cuda.set_rng_state_all(self.cuda)
