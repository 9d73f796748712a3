"""The record of the images that a network was trained on."""

from __future__ import annotations

import torch

from ltr.run.training_record import TrainingRecord


def images(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def test_two_trainings_have_seen_what_both_have() -> None:
    both = TrainingRecord(images(2, 5), complete=True) | TrainingRecord(images(9, 5, -1), complete=True)
    assert both.images.tolist() == [-1, 2, 5, 9]
    assert both.complete
    assert not (both | TrainingRecord()).complete, "what is not known stays so"


def test_images_are_counted_as_often_as_they_occur() -> None:
    assert TrainingRecord(images(2, 5), complete=True).overlap(images(5, 7, 5)) == 2
    assert TrainingRecord(images(2, 5), complete=True).overlap(images(7)) == 0
    assert TrainingRecord(images(2, 5), complete=False).overlap(images(5)) == 1, "what is found was trained on"
    assert TrainingRecord(images(2, 5), complete=False).overlap(images(7)) is None


def test_a_checkpoint_keeps_it() -> None:
    content: dict[str, object] = {}
    TrainingRecord(images(2, 5), complete=True).write(content)
    found = TrainingRecord.read(content)
    assert found.images.tolist() == [2, 5]
    assert found.complete
    assert not TrainingRecord.read({"state_dict": {}}).complete, "a file of others does not say"
