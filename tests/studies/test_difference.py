"""Paired differences are those of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ltr.studies.difference import paired

OURS = {(None, 0): 42.5, (None, 1): 43.1, (None, 2): 41.9}
THEIRS = {(None, 2): 40.0, (None, 1): 40.8, (None, 0): 41.5, (None, 3): 99.0}


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    found = paired(OURS, THEIRS)
    known = stats.ttest_rel([42.5, 43.1, 41.9], [41.5, 40.8, 40.0]).confidence_interval(0.95)
    assert found.pairs == 3, "a seed that only one row has does not count"
    assert (found.mean - found.margin, found.mean + found.margin) == pytest.approx((known.low, known.high))
    assert str(found) == f"{found.mean:+.1f} [{known.low:+.1f}, {known.high:+.1f}]"


@pytest.mark.parametrize("shift", [-3.0, -0.1, 0.0, 0.1, 3.0])
def test_clear_is_a_p_value_below_five_percent(shift: float) -> None:
    draws = np.random.default_rng(0).normal(size=(2, 6))
    ours = {(None, seed): value + shift for seed, value in enumerate(draws[0])}
    theirs = {(None, seed): value for seed, value in enumerate(draws[1])}
    assert paired(ours, theirs).clear == (stats.ttest_rel(draws[0] + shift, draws[1]).pvalue < 0.05)


def test_a_choice_of_images_is_one_witness() -> None:
    draws = np.random.default_rng(1).normal(size=(4, 3))  # subset seeds, seeds
    ours = {(subset, seed): draws[subset, seed] for subset in range(4) for seed in range(3)}
    found = paired(ours, dict.fromkeys(ours, 0.0))
    known = stats.ttest_1samp(draws.mean(1), 0).confidence_interval(0.95)
    assert found.pairs == 4
    assert found.mean - found.margin == pytest.approx(known.low)


def test_one_choice_of_images_leaves_the_seeds() -> None:
    assert paired({(5, 0): 1.0, (5, 1): 2.0}, {(5, 0): 0.0, (5, 1): 0.0}).pairs == 2


def test_what_has_no_noise_has_no_interval() -> None:
    assert paired({(None, 0): 3.0}, {(None, 0): 1.0}).margin is None
    assert paired({(None, 0): 3.0, (None, 1): 4.0}, {(None, 0): 1.0, (None, 1): 2.0}).margin is None
    assert not paired({(None, 0): 3.0}, {(None, 0): 1.0}).clear
    assert str(paired({(None, 0): 1.0}, {(None, 0): 1.04})) == "+0.0"
    assert paired({(None, 0): 3.0}, {(None, 1): 1.0}) is None
