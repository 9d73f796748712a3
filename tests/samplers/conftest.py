"""What the tests of the samplers share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture
def labels_of() -> Callable[[list[int]], Tensor]:
    """Return a maker of shuffled labels with given counts."""

    def make(counts: list[int]) -> Tensor:
        labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(5))]

    return make


@pytest.fixture
def within_four_sigma() -> Callable[[Tensor, Tensor], bool]:
    """Return a test of whether every frequency lies within four standard deviations of its probability."""

    def test(found: Tensor, probabilities: Tensor) -> bool:
        draws = found.sum()
        sigma = (probabilities * (1 - probabilities) / draws).sqrt()
        return bool(((found / draws - probabilities).abs() <= 4 * sigma + 1e-9).all())

    return test
