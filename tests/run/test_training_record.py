"""The record of the images that a network was trained on."""

from __future__ import annotations

import pytest
import torch

from ltr.errors import InputError
from ltr.run.training_record import TrainingRecord


def images(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def test_two_trainings_have_seen_what_both_have() -> None:
    first = TrainingRecord(images(2, 5), complete=True, sets=("one", "two"))
    both = first | TrainingRecord(images(9, 5, -1), complete=True, sets=("two", "three"))
    assert both.sets == ("one", "two", "three")
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
    TrainingRecord(images(2, 5), complete=True, sets=("ImageNet-1k",)).write(content)
    found = TrainingRecord.read(content)
    assert found.images.tolist() == [2, 5]
    assert found.complete
    assert found.sets == ("ImageNet-1k",)
    assert not TrainingRecord.read({"state_dict": {}}).complete, "a file of others does not say"


@pytest.mark.parametrize("sets", ["ImageNet-1k", [1], None])
def test_other_names_of_sets_are_damage(sets: object) -> None:
    with pytest.raises(InputError, match="record of the training images in the checkpoint is damaged"):
        TrainingRecord.read({"training_record": {"images": images(2), "complete": True, "sets": sets}})
