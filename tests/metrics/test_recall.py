"""The state: against scikit-learn, in parts, in other precisions and over processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, recall_score
from torch import Tensor

from ltr.metrics import Recall, Report, mean_recall

STATES = ("hits", "totals", "bin_hits", "bin_totals", "bin_confidences")
COUNTS = [200, 90, 60, 15, 3]


def split(images: int = 101, classes: int = 5) -> tuple[Tensor, Tensor]:
    """Return probabilities and labels; about half of the images are recognised."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(classes, (images,), generator=generator)
    logits = 2 * torch.randn(images, classes, generator=generator)
    logits[torch.arange(images), labels] += 2
    return logits.softmax(1), labels


def filled(probabilities: Tensor, labels: Tensor, *, batch: int) -> Recall:
    """Return the state of a split seen in batches."""
    recall = Recall(probabilities.shape[1])
    for start in range(0, len(labels), batch):
        recall.update(probabilities[start : start + batch], labels[start : start + batch])
    return recall


def test_agrees_with_scikit_learn() -> None:
    probabilities, labels = split()
    recall = filled(probabilities, labels, batch=101).compute()
    predictions = probabilities.argmax(1)
    np.testing.assert_allclose(recall, recall_score(labels, predictions, average=None), rtol=1e-15)
    assert mean_recall(recall) == pytest.approx(balanced_accuracy_score(labels, predictions), rel=1e-14)


def test_a_class_absent_from_the_split_has_no_recall() -> None:
    probabilities, labels = split()
    kept = labels != 2
    recall = filled(probabilities[kept], labels[kept], batch=50).compute()
    expected = recall_score(
        labels[kept], probabilities[kept].argmax(1), average=None, labels=range(5), zero_division=np.nan
    )
    assert recall.isnan().tolist() == [False, False, True, False, False]
    np.testing.assert_allclose(recall, expected, rtol=1e-15)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_batches_accumulate_to_the_whole_exactly(batch: int) -> None:
    whole, parts = (filled(*split(), batch=size) for size in (101, batch))
    for state in STATES:
        assert torch.equal(getattr(whole, state), getattr(parts, state)), f"{state} depends on the batches"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_every_floating_type_is_accepted(dtype: torch.dtype) -> None:
    probabilities, labels = split()
    narrow = probabilities.to(dtype)
    recall = filled(narrow, labels, batch=40)
    assert recall.hits.sum() == (narrow.argmax(1) == labels).sum()
    confidences = recall.bin_confidences.sum().item() / 2**40
    assert confidences == pytest.approx(narrow.amax(1).double().sum().item(), rel=1e-10), "a confidence was rounded"


def test_a_model_in_bfloat16_keeps_the_state_exact() -> None:
    probabilities, labels = split()
    plain = filled(probabilities, labels, batch=101)
    module = torch.nn.ModuleList([filled(probabilities, labels, batch=101)]).to(torch.bfloat16)
    for state in STATES:
        assert torch.equal(getattr(module[0], state), getattr(plain, state)), f"{state} was converted"


def test_what_is_not_a_number_is_never_a_hit() -> None:
    recall = Recall(2)
    recall.update(torch.full((3, 2), torch.nan), torch.tensor([0, 0, 1]))
    assert recall.hits.tolist() == [0, 0]
    assert recall.totals.tolist() == [2, 1]
    assert recall.bin_confidences.tolist() == [0] * 15


def test_an_empty_batch_changes_nothing_and_reset_forgets() -> None:
    recall = filled(*split(), batch=101)
    recall.update(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64))
    assert recall.totals.sum() == 101
    recall.reset()
    assert all(not getattr(recall, state).any() for state in STATES)


def test_no_state_grows_with_the_square_of_the_classes() -> None:
    recall = Recall(8142)
    assert max(getattr(recall, state).numel() for state in STATES) == 8142
    assert recall.state_dict() == {}, "a checkpoint must not depend on the metric"


def process(rank: int, folder: str) -> None:
    """Report a third of the split, or the rest of it, as one of two processes."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    probabilities, labels = split()
    mine = slice(0, 33) if rank == 0 else slice(33, None)
    recall = filled(probabilities[mine], labels[mine], batch=20)
    report = Report.of(recall, COUNTS)
    assert recall.totals.sum() == len(labels[mine]), "the state must go on with this process's share"
    Path(folder, f"{rank}.json").write_text(json.dumps(report.to_json()))
    torch.distributed.destroy_process_group()


def test_two_processes_with_uneven_shards_are_one(in_two_processes, tmp_path: Path) -> None:
    in_two_processes(process, str(tmp_path))
    expected = Report.of(filled(*split(), batch=101), COUNTS).to_json()
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == expected, f"process {rank} differs"
