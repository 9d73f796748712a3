"""Milestones as fractions of training."""

from __future__ import annotations

import pytest

from ltr.milestones import passed


@pytest.mark.parametrize(("start", "epochs", "first"), [(0.8, 200, 160), (0.9, 200, 180), (0.7, 10, 7), (0.8, 9, 8)])
def test_the_first_epoch_after_a_milestone(start: float, epochs: int, first: int) -> None:
    assert [epoch for epoch in range(epochs) if passed(start, epoch, epochs)] == list(range(first, epochs))
