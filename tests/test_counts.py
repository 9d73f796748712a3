"""The arithmetic of class counts, against the tables of the field."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import pareto

from ltr.counts import (
    Counts,
    fingerprint,
    gini,
    head_share,
    imbalance_factor,
    log_prior,
    long_tailed,
    long_tailed_indices,
    per_class,
    shot_groups,
)
from ltr.errors import InputError

CASES = json.loads((Path(__file__).parent / "references" / "cifar100_lt_indices.json").read_text())["cases"]
TOTALS = {  # largest, classes, imbalance: total, smallest, (many, medium, few)
    (5000, 10, 10): (20431, 500, (10, 0, 0)),
    (5000, 10, 20): (17023, 250, (10, 0, 0)),
    (5000, 10, 50): (13996, 100, (9, 1, 0)),
    (5000, 10, 100): (12406, 50, (8, 2, 0)),
    (5000, 10, 200): (11203, 25, (7, 3, 0)),
    (500, 100, 10): (19573, 50, (69, 31, 0)),
    (500, 100, 20): (15907, 25, (53, 47, 0)),
    (500, 100, 50): (12608, 10, (41, 41, 18)),
    (500, 100, 100): (10847, 5, (35, 35, 30)),
    (500, 100, 200): (9502, 2, (30, 31, 39)),
}
CIFAR10 = {
    10: [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500],
    20: [5000, 3584, 2569, 1842, 1320, 946, 678, 486, 348, 250],
    50: [5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100],
    100: [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50],
    200: [5000, 2775, 1540, 854, 474, 263, 146, 81, 45, 25],
}


@pytest.mark.parametrize("key", list(TOTALS), ids=lambda key: f"cifar{key[1]}-{key[2]}")
def test_totals_and_shot_groups(key: tuple[int, int, int]) -> None:
    largest, classes, imbalance = key
    counts = long_tailed(largest, classes, imbalance)
    total, smallest, groups = TOTALS[key]
    assert (len(counts), sum(counts), counts[0], counts[-1]) == (classes, total, largest, smallest)
    assert tuple(map(len, shot_groups(counts).values())) == groups


@pytest.mark.parametrize("imbalance", list(CIFAR10))
def test_cifar10_class_by_class(imbalance: int) -> None:
    assert long_tailed(5000, 10, imbalance) == CIFAR10[imbalance]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_cifar100_as_the_official_code_counts(case: dict) -> None:
    kind, imbalance = case["params"]["imbalance_type"], case["params"]["imbalance_factor"]
    assert long_tailed(500, 100, imbalance, kind) == case["counts"]
    assert sum(case["counts"]) == case["expected"]["total"]


@pytest.mark.parametrize(("imbalance", "total"), [(10, 27500), (50, 25500), (100, 25250)])
def test_steps(imbalance: int, total: int) -> None:
    assert long_tailed(5000, 10, imbalance, "step") == [5000] * 5 + [5000 // imbalance] * 5
    assert sum(long_tailed(5000, 10, imbalance, "step")) == sum(long_tailed(500, 100, imbalance, "step")) == total


def test_a_balanced_set_of_the_same_size() -> None:
    assert long_tailed(500, 100, 100, "balanced") == [10847 // 100] * 100
    assert long_tailed(500, 100, 50, "balanced") == [12608 // 100] * 100


def test_a_pareto_tail() -> None:
    counts = long_tailed(1280, 1000, 256, "pareto")
    assert (counts[0], counts[-1]) == (1280, 5)
    density = pareto(6).pdf(np.linspace(1, 256 ** (1 / 7), 1000))
    assert counts == np.floor(1280 * density / density[0] + 1e-6).astype(int).tolist()
    assert sum(counts) < sum(long_tailed(1280, 1000, 256, "exp"))


def test_none_keeps_every_image_whatever_the_imbalance() -> None:
    assert long_tailed(500, 4, 100, "none") == [500] * 4
    assert long_tailed(500, 4, 1, "none") == [500] * 4


@pytest.mark.parametrize("imbalance", [0, 1, -10, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("tail", ["exp", "step", "pareto"])
def test_impossible_imbalances(imbalance: float, tail: str) -> None:
    with pytest.raises(InputError, match="imbalance"):
        long_tailed(500, 100, imbalance, tail)  # type: ignore[arg-type]


def test_the_inverse_is_understood_and_said() -> None:
    with pytest.warns(UserWarning, match=r"read as N_min / N_max, that is a factor of 100"):
        assert imbalance_factor(0.01) == 100
    with pytest.warns(UserWarning, match="factor of 100"):
        assert long_tailed(500, 100, 0.01) == long_tailed(500, 100, 100)


def test_a_class_without_images_is_refused() -> None:
    assert min(long_tailed(100, 10, 100)) == 1
    with pytest.raises(InputError, match="the smallest class would have no image at imbalance 101"):
        long_tailed(100, 10, 101)
    with pytest.raises(InputError, match="would have no image at imbalance 11"):
        long_tailed(10, 10, 11, "step")


@pytest.mark.parametrize(
    ("classes", "first", "last", "total"),
    [
        (100, [9000, 25400, 28300, 44500, 46100], [34899, 15399, 36399, 36199, 29999], 271_164_136),
        (10, [3980, 38330, 48360, 45720, 6360], [22049, 38169, 22069, 25079, 19269], 309_550_124),
    ],
)
def test_the_kept_images_are_those_of_the_official_code(
    classes: int, first: list[int], last: list[int], total: int
) -> None:
    labels = np.arange(50000) % classes
    np.random.seed(42)  # noqa: NPY002 - the global state is what must not change
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    kept = long_tailed_indices(labels, long_tailed(50000 / classes, classes, 100), subset_seed=0)
    assert np.random.get_state()[1].tolist() == state, "the global generator is not touched"  # noqa: NPY002
    assert kept[0][:5].tolist() == first
    assert kept[-1][:5].tolist() == last
    assert sum(int(part.sum()) for part in kept) == total
    other = long_tailed_indices(labels, long_tailed(50000 / classes, classes, 100), subset_seed=1)
    assert other[0][:5].tolist() != first


def test_more_images_than_there_are() -> None:
    with pytest.raises(InputError, match="class 1 has 2 images, fewer than the 3 asked for"):
        long_tailed_indices(np.array([0, 1, 0, 1]), [2, 3], subset_seed=0)


def test_shot_groups_at_their_borders() -> None:
    assert shot_groups([101, 100, 20, 19, 1]) == {"many": [0], "medium": [1, 2], "few": [3, 4]}
    assert shot_groups([500, 400]) == {"many": [0, 1], "medium": [], "few": []}


def test_a_fingerprint_is_of_the_images_and_not_of_their_order() -> None:
    expected = hashlib.sha256(struct.pack("<3q", 2, 7, 300)).hexdigest()
    assert fingerprint([300, 2, 7]) == fingerprint(np.array([7, 300, 2], dtype=np.int32)) == expected
    assert fingerprint([300, 2, 8]) != expected


def test_log_prior() -> None:
    prior = log_prior(torch.tensor([90, 9, 1]))
    assert prior.dtype == torch.float32
    assert prior.tolist() == pytest.approx([math.log(0.9), math.log(0.09), math.log(0.01)], rel=1e-6)
    with pytest.raises(InputError, match="class 2 has no training image"):
        log_prior(torch.tensor([90, 9, 0]))


def test_counts_know_the_real_and_the_synthetic_images() -> None:
    counts = Counts([9, 5, 3], [0, 0, 4])
    assert (counts, counts.real, counts.synthetic) == ((9, 5, 7), (9, 5, 3), (0, 0, 4))
    assert Counts([9, 5]).synthetic == (0, 0)
    with pytest.raises(ValueError, match="shorter"):
        Counts([9, 5], [1])
    for copied in (
        counts.reordered([2, 0, 1]).reordered([1, 2, 0]),
        Counts.of(torch.tensor(counts), torch.tensor(counts.synthetic)),
        pickle.loads(pickle.dumps(counts)),  # as a data module that is sent to another process is
    ):
        assert (copied, copied.real, copied.synthetic) == (counts, counts.real, counts.synthetic)
    assert counts.reordered([2, 0]).real == (3, 9)
    assert json.dumps(counts) == "[9, 5, 7]"


def test_per_class_counts_absent_classes_too() -> None:
    assert per_class(torch.tensor([0, 3, 0, 1]), 6).tolist() == [2, 1, 0, 1, 0, 0]


@pytest.mark.parametrize("counts", [[1, 2, 3, 4], [500, 50, 5], [7, 7, 7], [0, 0, 9], [3, 1, 4, 1, 5, 9, 2, 6]])
def test_gini_is_half_the_relative_mean_difference_and_the_area_above_the_lorenz_curve(counts: list[int]) -> None:
    values = np.array(counts, dtype=float)
    difference = np.abs(values[:, None] - values).mean() / values.mean()
    assert gini(counts) == pytest.approx(difference / 2)
    lorenz = np.concatenate([[0], np.sort(values).cumsum() / values.sum()])
    assert gini(counts) == pytest.approx(1 - 2 * np.trapezoid(lorenz, dx=1 / len(counts)))


def test_gini_of_known_distributions() -> None:
    assert gini([5] * 9) == 0
    assert gini([0] * 9 + [4]) == pytest.approx(1 - 1 / 10)
    assert gini(range(1, 101)) == pytest.approx((100 - 1) / (3 * 100))  # 1, 2, ..., C
    assert gini([0, 0]) == 0
    quantiles = pareto.ppf((np.arange(20000) + 0.5) / 20000, 3)
    assert gini((1e6 * quantiles).round().astype(int).tolist()) == pytest.approx(1 / (2 * 3 - 1), rel=1e-2)


def test_head_share_is_that_of_the_largest_fifth() -> None:
    assert head_share([1, 1, 6, 1, 1]) == 0.6
    assert head_share([1, 4, 1, 1, 1, 2]) == 0.6, "a fifth of six classes is two"
    assert head_share([0, 0]) == 0
