"""Confidence against accuracy as a figure."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ltr.plots import Bins, reliability


def slow(confidences: list[float], hits: list[bool], bins: int) -> tuple[list[list[float]], float]:
    """Return hits, images and confidences of every bin, and the error, image by image."""
    found: list[list[float]] = [[0.0] * bins for _ in range(3)]
    for confidence, hit in zip(confidences, hits, strict=True):
        place = next(place for place in range(bins) if confidence <= (place + 1) / bins)
        for row, value in zip(found, (float(hit), 1.0, confidence), strict=True):
            row[place] += value
    error = 0.0
    for hit, images, confidence in zip(*found, strict=True):
        if images:
            error += images / len(hits) * abs(hit / images - confidence / images)
    return found, error


@pytest.mark.parametrize("bins", [2, 15])
def test_bins_and_error_are_those_of_a_loop(bins: int) -> None:
    generator = np.random.default_rng(0)
    confidences = [0.0, 0.5, 1.0, *generator.random(200)]
    hits = [False, True, True, *(generator.random(200) < 0.4)]
    found, error = slow(confidences, hits, bins)
    fast = Bins.of(confidences, hits, bins=bins)
    np.testing.assert_allclose(np.stack(fast), found, atol=1e-12)
    assert fast.ece == pytest.approx(error, abs=1e-12)


def test_no_image_has_no_error() -> None:
    assert math.isnan(Bins.of([], []).ece)


def test_a_panel_per_group() -> None:
    groups = {"all": Bins.of([0.95, 0.95, 0.2], [True, False, False], bins=10), "few": Bins.of([0.2], [False], bins=10)}
    figure = reliability(groups)
    all_images, few, all_shares, _ = figure.axes
    assert [axes.get_title() for axes in (all_images, few)] == ["all", "few"]
    assert [bar.get_height() for bar in all_images.containers[0].patches] == pytest.approx([0, 50])
    assert [bar.get_height() for bar in all_shares.containers[0].patches] == pytest.approx([100 / 3, 200 / 3])
    assert (all_images.get_xlim(), all_images.get_ylim()) == ((0, 100), (0, 100))
    assert all_images.get_ylabel() == "images recognised (%)"
