"""Switch points as fractions of a run."""

from __future__ import annotations

import pytest

from ltr.switch import reached


@pytest.mark.parametrize(("start", "epochs", "first"), [(0.8, 200, 160), (0.9, 200, 180), (0.7, 10, 7), (0.8, 9, 8)])
def test_the_first_epoch_after_a_switch(start: float, epochs: int, first: int) -> None:
    assert [epoch for epoch in range(epochs) if reached(start, epoch, epochs)] == list(range(first, epochs))
