"""Thresholds by hand and from numpy, and coverage over many draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ltr.callbacks.conformal import EVERYTHING, Score, scores, threshold, thresholds
from ltr.metrics import coverage_of, set_measures

PROBABILITIES = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]], dtype=torch.float64)


def test_scores_by_hand() -> None:
    lac = [[0.5, 0.7, 0.8], [0.9, 0.9, 0.2], [0.75, 0.5, 0.75]]
    torch.testing.assert_close(scores(PROBABILITIES, "lac"), torch.tensor(lac, dtype=torch.float64))
    aps = [[0.5, 0.8, 1.0], [0.9, 1.0, 0.8], [0.75, 0.5, 1.0]]
    torch.testing.assert_close(scores(PROBABILITIES, "aps"), torch.tensor(aps, dtype=torch.float64))


@pytest.mark.parametrize("kind", ["lac", "aps"])
def test_scores_as_a_loop(kind: Score) -> None:
    probabilities = torch.rand(20, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    probabilities /= probabilities.sum(1, keepdim=True)
    for row, found in zip(probabilities.tolist(), scores(probabilities, kind).tolist(), strict=True):
        expected = [1 - p if kind == "lac" else math.fsum(q for q in row if q >= p) for p in row]
        assert found == pytest.approx(expected, rel=1e-12)


def test_no_score_is_above_the_highest() -> None:
    probabilities = (10 * torch.randn(500, 50, generator=torch.Generator().manual_seed(0))).softmax(1).double()
    assert scores(probabilities, "aps").max() <= EVERYTHING


@pytest.mark.parametrize(("images", "alpha"), [(9, 0.1), (10, 0.1), (19, 0.05), (40, 0.25), (1000, 0.1), (7, 0.5)])
def test_the_threshold_is_that_quantile_of_numpy(images: int, alpha: float) -> None:
    own = torch.rand(images, generator=torch.Generator().manual_seed(images), dtype=torch.float64)
    rank = math.ceil(round((images + 1) * (1 - alpha), 6))
    # Half a step below the rank, so that no rounding leads past it.
    expected = np.quantile(own.numpy(), (rank - 1.5) / (images - 1), method="higher")
    assert threshold(own, alpha) == expected


def test_the_threshold_by_hand() -> None:
    own = torch.tensor([0.9, 0.1, 0.5, 0.3])
    assert threshold(own, 0.5) == pytest.approx(0.5)  # the third of four, ceil(5 * 0.5)
    assert threshold(own, 0.2) == pytest.approx(0.9)
    assert threshold(own, 0.1) == EVERYTHING, "four images are too few for one in ten"
    assert threshold(own[:0], 0.5) == EVERYTHING


def test_thresholds_are_of_the_class_of_all_or_between() -> None:
    own, labels = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.8]), torch.tensor([0, 0, 0, 1, 1])
    each = thresholds(own, labels, 0.5, classes=3, share=1)
    assert each.tolist() == pytest.approx([0.2, 0.8, 1.0])
    assert thresholds(own, labels, 0.5, classes=3, share=0).tolist() == pytest.approx([0.3] * 3)
    between = [0.25 * one + 0.75 * 0.3 for one in each.tolist()]
    assert thresholds(own, labels, 0.5, classes=3, share=0.25).tolist() == pytest.approx(between)


def draw(counts: list[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return probabilities of a poor network, and labels of classes of which one is much harder than the others."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    logits = torch.randn(len(labels), len(counts), generator=generator, dtype=torch.float64)
    ease = torch.tensor([3.0, 2.0, 0.0])
    logits[torch.arange(len(labels)), labels] += ease[labels]
    return logits.softmax(1), labels


@pytest.mark.parametrize("kind", ["lac", "aps"])
def test_coverage_is_what_was_promised_over_many_draws(kind: Score) -> None:
    alpha, draws, generator = 0.2, 1000, torch.Generator().manual_seed(0)
    calibration, test = [60, 30, 14], [6, 3, 1]
    found: dict[int, list[Tensor]] = {0: [], 1: []}
    for _ in range(draws):
        known, labels = draw(calibration, generator)
        own = scores(known, kind).gather(1, labels[:, None]).squeeze(1)
        new, truth = draw(test, generator)
        for share in found:
            limits = thresholds(own, labels, alpha, classes=3, share=share)
            found[share].append((scores(new, kind) <= limits).gather(1, truth[:, None]).squeeze(1).double())
    covered = {share: torch.stack(each) for share, each in found.items()}
    for label, images in enumerate(calibration):
        here = covered[1][:, truth == label].mean(1)
        exact = math.ceil((images + 1) * (1 - alpha) - 1e-9) / (images + 1)  # the mean of a Beta distribution
        error = 4 * float(here.std()) / draws**0.5
        assert exact >= 1 - alpha
        assert float(here.mean()) >= exact - error, f"class {label}"
        if kind == "lac":  # where the least likely class is the true one, the scores of `aps` are equal
            assert float(here.mean()) <= exact + error, f"class {label}"
    hard = float(covered[0][:, truth == 2].mean())
    assert hard < 1 - alpha - 0.1, "one threshold for all leaves the hard class behind"


def test_marginal_coverage_is_what_was_promised() -> None:
    alpha, draws, generator = 0.1, 2000, torch.Generator().manual_seed(1)
    hits = []
    for _ in range(draws):
        probabilities, labels = draw([17, 9, 4], generator)
        order = torch.randperm(30, generator=generator)
        own = scores(probabilities, "lac").gather(1, labels[:, None]).squeeze(1)[order]
        hits.append(float(own[29]) <= threshold(own[:29], alpha))
    exact = math.ceil(30 * 0.9) / 30
    assert np.mean(hits) == pytest.approx(exact, abs=4 * (exact * (1 - exact) / draws) ** 0.5)


def test_what_sets_are_worth_by_hand() -> None:
    sets = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    labels = torch.tensor([0, 0, 0, 1])
    assert coverage_of(sets, labels).tolist() == pytest.approx([2 / 3, 0, math.nan], nan_ok=True)
    assert set_measures(sets, labels, [200, 50, 3]) == pytest.approx(
        {
            "coverage": 0.5,
            "macro_coverage": 1 / 3,
            "lowest_coverage": 0,
            "size": 1,
            "empty": 0.25,
            "coverage_many": 2 / 3,
            "coverage_medium": 0,
            "coverage_few": math.nan,
            "size_many": 4 / 3,
            "size_medium": 0,
            "size_few": math.nan,
        },
        nan_ok=True,
    )
