"""The report: what it holds, and what it says to a file and to a person."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from ltr.errors import InputError
from ltr.measures import MEASURES
from ltr.metrics import Recall, Report

COUNTS = [300, 50, 30, 2]


def report() -> Report:
    """Return the report of 10, 4, 0 and 0 images, of which 8 and 1 are recognised with confidence 0.75."""
    labels = torch.tensor([0] * 10 + [1] * 4)
    predictions = torch.tensor([0] * 8 + [1] * 2 + [1] + [0] * 3)
    probabilities = torch.full((14, 4), 0.25 / 3)
    probabilities[torch.arange(14), predictions] = 0.75
    recall = Recall(4)
    recall.update(probabilities, labels)
    return Report.of(recall, COUNTS)


def test_by_hand() -> None:
    built = report()
    expected = {
        "top1": 9 / 14,  # over images: the mean recall is 0.525
        "gm": math.sqrt(0.8 * 0.25),
        "hm": 2 / (1 / 0.8 + 1 / 0.25),
        "lowest": 0.25,
        "zero_recall": 0,
        "many": 0.8,
        "medium": 0.25,
        "few": math.nan,
        "ece": 0.75 - 9 / 14,
    }
    assert built.scalars() == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert (built.mean_recall, built.worst, built.worst_classes) == pytest.approx((0.525, 0.25, 1))
    assert built.recall_std == pytest.approx(0.275)
    assert built.recall == pytest.approx([0.8, 0.25, math.nan, math.nan], nan_ok=True)
    assert built.counts == COUNTS


def test_json_is_strict_and_whole() -> None:
    written = json.loads(json.dumps(report().to_json(), allow_nan=False))
    assert written["floor"] == 1e-3
    assert written["few"] is None
    assert written["recall"] == [0.8, 0.25, None, None]
    assert written["zero_recall"] == 0
    assert set(written) == {*MEASURES, "recall", "counts", "floor"}


def test_summary() -> None:
    assert report().summary() == (
        "top-1 64.3 | GM 44.7 | HM 38.1 | lowest 25.0 | zero-recall classes 0 | many 80.0 medium 25.0 few - | ECE 10.7"
    )


def test_what_a_method_measures_beyond_is_told_beside() -> None:
    built = dataclasses.replace(report(), extras={"experts_used": 1.8765, "flops": 1.5e8})
    assert {**report().scalars(), "experts_used": 1.8765, "flops": 1.5e8} == pytest.approx(built.scalars(), nan_ok=True)
    assert built.to_json() == report().to_json() | {"experts_used": 1.8765, "flops": 1.5e8}
    assert built.summary() == report().summary() + " | experts used 1.88 | flops 1.5e+08"


def test_nothing_seen_is_nothing_measured() -> None:
    with pytest.warns(UserWarning, match="before the ``update``"):
        built = Report.of(Recall(4), COUNTS)
    assert [name for name, value in built.scalars().items() if not math.isnan(value)] == ["zero_recall"]
    json.dumps(built.to_json(), allow_nan=False)


def test_8142_classes_are_finite() -> None:
    recall = Recall(8142)
    recall.update(torch.eye(8142)[:4000], torch.arange(4000))
    recall.update(torch.eye(8142)[:4142], torch.arange(4000, 8142))
    built = Report.of(recall, torch.arange(8142, 0, -1).tolist())
    assert all(math.isfinite(value) for value in built.scalars().values()), built.scalars()
    assert built.zero_recall == 4142
    assert built.gm == pytest.approx(1e-3 ** (4142 / 8142))


def test_counts_of_another_data_set_are_refused() -> None:
    with pytest.raises(InputError, match="4 classes, but there are 3 counts"):
        Report.of(Recall(4), [1, 2, 3])


def test_a_report_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        report().top1 = 1.0  # type: ignore[misc]
