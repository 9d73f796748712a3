"""A few inputs of every kind, always the same: each is used, or refused in one sentence."""

from __future__ import annotations

import pytest
from fuzz import KINDS, explore


@pytest.mark.filterwarnings("default")  # what the command line prints as a note
@pytest.mark.parametrize("name", KINDS)
def test_an_input_is_used_or_refused_in_a_sentence(name: str) -> None:
    tally = explore(KINDS[name], KINDS[name].short, derandomize=True, database=None)
    assert tally.answers["refused"] > 0
