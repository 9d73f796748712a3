"""What a classifier is chosen for."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from ltr.auto.goal import Goal
from ltr.errors import InputError
from ltr.metrics.means import harmonic_mean, lowest, mean_recall

CLASSES, COUNTS = ["go", "stop", "turn", "wait"], [60, 30, 9, 1]
RECALLS = torch.tensor([[0.5, 0.25, 1.0, 0.75], [0.9, 0.8, 0.0, 0.3]])


def test_the_goals_are_the_measures_of_a_test() -> None:
    for row in RECALLS:
        assert float(Goal.of("mean-recall", CLASSES, COUNTS)(row[None])) == pytest.approx(mean_recall(row))
        assert float(Goal.of("hm", CLASSES, COUNTS)(row[None])) == pytest.approx(harmonic_mean(row))
        tie = 1e-3 * harmonic_mean(row)
        assert float(Goal.of("lowest", CLASSES, COUNTS)(row[None])) == pytest.approx(lowest(row) + tie)
        shares = sum(count * recall for count, recall in zip(COUNTS, row.tolist(), strict=True)) / 100
        assert float(Goal.of("top1", CLASSES, COUNTS)(row[None])) == pytest.approx(shares)


def test_classes_have_weights(tmp_path: Path) -> None:
    file = tmp_path / "weights.yaml"
    file.write_text("stop: 5\n2: 0.5\n")
    found = Goal.of(str(file), CLASSES, COUNTS)
    assert found(RECALLS).tolist() == pytest.approx(
        [(a + 5 * b + 0.5 * c + d) / 7.5 for a, b, c, d in RECALLS.tolist()]
    )
    assert "weights.yaml" in found.title


@pytest.mark.parametrize("name", ["mean-recall", "top1", "hm", "lowest"])
def test_a_class_without_images_is_left_out(name: str) -> None:
    present = [0, 1, 3]
    with_gap = RECALLS.clone()
    with_gap[:, 2] = math.nan
    wanted = Goal.of(name, [CLASSES[c] for c in present], [COUNTS[c] for c in present])(RECALLS[:, present])
    assert Goal.of(name, CLASSES, COUNTS)(with_gap).tolist() == pytest.approx(wanted.tolist())


@pytest.mark.parametrize(
    ("text", "said"),
    [("- 1", "must give weights above 0"), ("stop: -1", "above 0"), ("stop: x", "above 0"), ("a: [", "as YAML")],
)
def test_what_is_no_goal_is_said(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        Goal.of(str(tmp_path / "w.yaml"), CLASSES, COUNTS)
    with pytest.raises(InputError, match="--goal is mean-recall, top1, hm, lowest, or a YAML file"):
        Goal.of("best", CLASSES, COUNTS)
    (tmp_path / "w.yaml").write_text("halt: 2")
    with pytest.raises(InputError, match="halt"):
        Goal.of(str(tmp_path / "w.yaml"), CLASSES, COUNTS)
