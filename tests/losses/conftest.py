"""What the tests of the losses share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from official import Tolerance


@pytest.fixture(params=["float64", "float32"])
def tolerance(request: pytest.FixtureRequest) -> Iterator[Tolerance]:
    """Build everything in one precision and then the other; say how exact a loss must be in it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, request.param))
    yield Tolerance(1e-9, 1e-8) if request.param == "float64" else Tolerance(1e-5, 1e-5)
    torch.set_default_dtype(before)
