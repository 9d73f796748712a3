"""The measures of whole distributions: against scikit-learn and slow loops, in parts and over processes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from sklearn.metrics import log_loss as sklearn_log_loss
from torch import Tensor

from ltr.metrics import Recall, Recalls, Report, Scores, macro_f1

STATES = ("predicted", "own_hits", "own_confidences", "class_hits", "class_probabilities", "log_losses", "briers")
BEYOND = ("macro_f1", "nll", "brier", "classwise_ece", "ece_many", "ece_medium", "ece_few")
COUNTS = [200, 150, 90, 60, 15, 3]
BINS = 15


def split(images: int = 211, *, absent: int | None = None) -> tuple[Tensor, Tensor]:
    """Return probabilities and labels of an unbalanced split; about half of the images are recognised."""
    generator = torch.Generator().manual_seed(4)
    shares = torch.tensor([8.0, 5, 3, 2, 1, 1])
    if absent is not None:
        shares[absent] = 0
    labels = torch.multinomial(shares, images, replacement=True, generator=generator)
    logits = 2 * torch.randn(images, len(shares), generator=generator)
    logits[torch.arange(images), labels] += 2
    return logits.softmax(1), labels


def filled(probabilities: Tensor, labels: Tensor, *, batch: int = 211) -> Scores:
    """Return the state of a split seen in batches."""
    scores = Scores(probabilities.shape[1])
    for start in range(0, len(labels), batch):
        scores.update(probabilities[start : start + batch], labels[start : start + batch])
    return scores


def in_bin(value: float) -> int:
    """Return the number of the bin of a probability."""
    return max(math.ceil(value * BINS) - 1, 0)


def calibration_error(probabilities: list[float], hits: list[bool]) -> float:
    """Return the calibration error of some statements, bin by bin."""
    error = 0.0
    for number in range(BINS):
        here = [position for position, value in enumerate(probabilities) if in_bin(value) == number]
        if here:
            accuracy = sum(hits[position] for position in here) / len(here)
            confidence = math.fsum(probabilities[position] for position in here) / len(here)
            error += len(here) / len(hits) * abs(accuracy - confidence)
    return error


@pytest.mark.parametrize("absent", [None, 2])
def test_agree_with_scikit_learn(absent: int | None) -> None:
    probabilities, labels = split(absent=absent)
    found = filled(probabilities, labels).scores(COUNTS)
    assert found["macro_f1"] == pytest.approx(f1_score(labels, probabilities.argmax(1), average="macro"), rel=1e-14)
    exact = probabilities.double() / probabilities.double().sum(1, keepdim=True)
    assert found["nll"] == pytest.approx(sklearn_log_loss(labels, exact, labels=range(6)), rel=1e-6)


@pytest.mark.parametrize("absent", [None, 2])
def test_agree_with_slow_loops(absent: int | None) -> None:
    probabilities, labels = split(absent=absent)
    found = filled(probabilities, labels).scores(COUNTS)
    rows, truth = probabilities.double().tolist(), labels.tolist()
    brier = [sum((p - (k == y)) ** 2 for k, p in enumerate(row)) for row, y in zip(rows, truth, strict=True)]
    assert found["brier"] == pytest.approx(np.mean(brier), rel=1e-8)
    classwise = [calibration_error([row[k] for row in rows], [y == k for y in truth]) for k in range(6)]
    assert found["classwise_ece"] == pytest.approx(np.mean(classwise), rel=1e-9)
    for group, members in {"many": (0, 1), "medium": (2, 3), "few": (4, 5)}.items():
        inside = [(max(row), np.argmax(row) == y) for row, y in zip(rows, truth, strict=True) if y in members]
        expected = calibration_error(*(list(part) for part in zip(*inside, strict=True)))
        assert found[f"ece_{group}"] == pytest.approx(expected, rel=1e-9), group


def test_the_calibration_of_the_groups_is_made_of_that_of_all() -> None:
    probabilities, labels = split()
    scores = filled(probabilities, labels)
    for own, whole in (("own_hits", "bin_hits"), ("own_confidences", "bin_confidences")):
        assert torch.equal(getattr(scores, own).sum(0), getattr(scores, whole)), own
    report = Report.of(scores, [1000] * 6)
    assert report.ece_many == pytest.approx(report.ece, rel=1e-14)
    assert math.isnan(report.ece_few), "a group without images has no calibration"


def test_a_class_that_is_neither_there_nor_predicted_has_no_f1() -> None:
    hits, totals, predicted = torch.tensor([[3, 0, 0, 0], [4, 2, 0, 0], [4, 1, 1, 0]])
    labels, predictions = [0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 2]
    assert macro_f1(hits, totals, predicted) == pytest.approx(f1_score(labels, predictions, average="macro"))
    assert macro_f1(hits, totals, predicted) == pytest.approx((2 * 3 / 8 + 0 + 0) / 3)
    assert math.isnan(macro_f1(hits * 0, hits * 0, hits * 0))


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_batches_accumulate_to_the_whole_exactly(batch: int) -> None:
    whole, parts = (filled(*split(), batch=size) for size in (211, batch))
    for state in STATES:
        assert torch.equal(getattr(whole, state), getattr(parts, state)), f"{state} depends on the batches"


def test_the_order_of_the_images_does_not_matter() -> None:
    probabilities, labels = split()
    order = torch.randperm(len(labels))
    assert filled(probabilities, labels).scores(COUNTS) == filled(probabilities[order], labels[order]).scores(COUNTS)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_every_floating_type_is_accepted(dtype: torch.dtype) -> None:
    probabilities, labels = split()
    narrow = probabilities.to(dtype)
    found, expected = filled(narrow, labels), filled(narrow.double(), labels)
    assert found.scores(COUNTS) == pytest.approx(expected.scores(COUNTS), rel=1e-6)


def test_what_is_not_a_number_is_no_answer() -> None:
    scores = Scores(2)
    scores.update(torch.tensor([[math.nan, math.nan], [0.0, 1.0], [0.75, 0.25]]), torch.tensor([0, 1, 1]))
    assert scores.predicted.tolist() == [1, 1]
    assert scores.own_hits.sum() == 1
    found = scores.scores(COUNTS[:2])
    smallest = -math.log(torch.finfo(torch.float32).tiny)
    assert found["nll"] == pytest.approx((smallest - math.log(0.25)) / 3)
    assert found["brier"] == pytest.approx((1 + 2 * 0.75**2) / 3)
    assert found["macro_f1"] == pytest.approx((0 + 2 / 3) / 2)


def test_the_worst_answers_stay_finite() -> None:
    scores = Scores(3)
    scores.update(torch.eye(3).repeat(1000, 1), torch.tensor([1, 2, 0]).repeat(1000))
    found = scores.scores(COUNTS[:3])
    assert found["nll"] == pytest.approx(87.3365, abs=1e-4)
    assert found["brier"] == 2
    assert found["classwise_ece"] == pytest.approx(2 / 3)


def test_the_tables_grow_with_the_classes_and_not_with_their_square() -> None:
    scores = Scores(8142)
    assert max(getattr(scores, state).numel() for state in STATES) == 8142 * BINS
    scores.update(torch.full((2, 8142), 1 / 8142), torch.tensor([0, 8141]))
    found = scores.scores([10] * 8142)
    assert found["nll"] == pytest.approx(math.log(8142))
    assert found["brier"] == pytest.approx(1 - 1 / 8142)


def test_the_running_measures_of_a_training_do_without() -> None:
    recalls = Recalls(6)
    assert {split: type(recalls[split]) for split in ("train", "val", "test")} == {
        "train": Recall,
        "val": Scores,
        "test": Scores,
    }
    recall = Recall(6)
    recall.update(*split())
    report, whole = Report.of(recall, COUNTS), Report.of(filled(*split()), COUNTS)
    assert report.scalars() == whole.scalars()
    assert all(math.isnan(getattr(report, name)) for name in BEYOND)
    assert all(math.isfinite(getattr(whole, name)) for name in BEYOND)


def process(rank: int, folder: str) -> None:
    """Report a third of the split, or the rest of it, as one of two processes."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    probabilities, labels = split()
    mine = slice(0, 70) if rank == 0 else slice(70, None)
    report = Report.of(filled(probabilities[mine], labels[mine], batch=20), COUNTS)
    Path(folder, f"{rank}.json").write_text(json.dumps(report.to_json()))
    torch.distributed.destroy_process_group()


def test_two_processes_with_uneven_shards_are_one(in_two_processes, tmp_path: Path) -> None:
    in_two_processes(process, str(tmp_path))
    expected = Report.of(filled(*split()), COUNTS).to_json()
    assert set(BEYOND) <= set(expected)
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == expected, f"process {rank} differs"
