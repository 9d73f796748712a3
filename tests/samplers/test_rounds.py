"""The samplers that show every class equally often."""

from __future__ import annotations

import torch

from ltr import seeds
from ltr.counts import per_class
from ltr.samplers import ClassAware, Oversampling, Undersampling
from ltr.samplers.resampling import cycle

COUNTS = [30, 9, 2]


def test_a_cycle_is_whole_rounds_and_the_beginning_of_another() -> None:
    members = torch.tensor([4, 7, 11])
    found = cycle(members, 8, seeds.generator(0, 0)).tolist()
    assert sorted(found[:3]) == sorted(found[3:6]) == [4, 7, 11]
    assert len(set(found[6:])) == 2
    tails = {tuple(sorted(cycle(members, 8, seeds.generator(0, epoch)).tolist()[6:])) for epoch in range(30)}
    assert tails == {(4, 7), (4, 11), (7, 11)}, "which images gain is drawn"


def test_oversampling_repeats_images_up_to_the_largest_class(labels_of) -> None:
    labels = labels_of(COUNTS)
    drawn = Oversampling(labels).draw(seeds.generator(0, 0))
    assert per_class(labels[drawn], 3).tolist() == [30, 30, 30]
    times = per_class(drawn, 41)
    assert (times[labels == 0] == 1).all()
    assert set(times[labels == 1].tolist()) == {3, 4}
    assert (times[labels == 2] == 15).all()
    assert labels[drawn].diff().ne(0).sum() > 10, "the classes are mixed"


def test_undersampling_leaves_as_many_as_the_smallest_class_has(labels_of) -> None:
    labels = labels_of(COUNTS)
    sampler = Undersampling(labels)
    drawn = sampler.draw(seeds.generator(0, 0))
    assert per_class(labels[drawn], 3).tolist() == [2, 2, 2]
    assert len(set(drawn.tolist())) == 6, "no image comes twice"
    seen = {index for epoch in range(100) for index in sampler.draw(seeds.generator(0, epoch)).tolist()}
    assert len(seen) == 41, "each epoch leaves others"


def test_levels_skip_a_class_without_images() -> None:
    labels = torch.tensor([0, 0, 0, 2, 2])
    assert per_class(labels[Undersampling(labels).draw(seeds.generator(0, 0))], 3).tolist() == [2, 0, 2]
    assert per_class(labels[Oversampling(labels).draw(seeds.generator(0, 0))], 3).tolist() == [3, 0, 3]


def test_class_aware_goes_round_the_classes(labels_of) -> None:
    labels = labels_of(COUNTS)
    sampler = ClassAware(labels, images=4)
    drawn = sampler.draw(seeds.generator(0, 0))
    assert len(drawn) == 90, "C * N_max"
    turns = labels[drawn[:84]].view(-1, 3, 4)
    assert (turns == turns[:, :, :1]).all(), "four images of a class in a row"
    assert (turns[:, :, 0].sort(1).values == torch.arange(3)).all(), "all classes in every round"
    assert len(set(map(tuple, turns[:, :, 0].tolist()))) > 1, "in another order in each"
    small = drawn[labels[drawn] == 2][:28].view(-1, 2)
    assert (small.sort(1).values == small[0].sort().values).all(), "the images of a class come in rounds"
    large = drawn[labels[drawn] == 0]
    assert per_class(large, 41)[labels == 0].max() <= 2
    assert len(set(large[:28].tolist())) == 28


def test_class_aware_may_be_as_long_as_the_split(labels_of) -> None:
    labels = labels_of(COUNTS)
    sampler = ClassAware(labels, images=2, whole=False)
    assert len(sampler) == len(sampler.draw(seeds.generator(0, 0))) == 41
    shown = per_class(labels[sampler.draw(seeds.generator(0, 0))], 3)
    assert shown.max() - shown.min() <= 2
