"""What a network has seen."""

from __future__ import annotations

import torch

from ltr.run.exposure import Exposure


def images(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def test_two_trainings_have_seen_what_both_have() -> None:
    both = Exposure(images(2, 5), whole=True) | Exposure(images(9, 5, -1), whole=True)
    assert both.images.tolist() == [-1, 2, 5, 9]
    assert both.whole
    assert not (both | Exposure()).whole, "what is not known stays so"


def test_images_are_counted_as_often_as_they_occur() -> None:
    assert Exposure(images(2, 5), whole=True).among(images(5, 7, 5)) == 2
    assert Exposure(images(2, 5), whole=True).among(images(7)) == 0
    assert Exposure(images(2, 5), whole=False).among(images(5)) == 1, "what is found is there, whatever else is"
    assert Exposure(images(2, 5), whole=False).among(images(7)) is None


def test_a_checkpoint_keeps_it() -> None:
    content: dict[str, object] = {}
    Exposure(images(2, 5), whole=True).write(content)
    found = Exposure.read(content)
    assert found.images.tolist() == [2, 5]
    assert found.whole
    assert not Exposure.read({"state_dict": {}}).whole, "an older one does not say"
