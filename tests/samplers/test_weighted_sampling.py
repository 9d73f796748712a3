"""The samplers that draw classes with given shares, against the probabilities of the public code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ltr import seeds
from ltr.contracts import SamplerFactory
from ltr.counts import per_class
from ltr.samplers import EffectiveNumber, Power, Progressive
from ltr.samplers.weighted import Weighted

CASES = json.loads((Path(__file__).parents[1] / "references" / "sampler_probabilities.json").read_text())["cases"]
STATIC: dict[str, SamplerFactory] = {
    "instance": Power,
    "square_root": lambda labels: Power(labels, q=0.5),
    "class_balanced": lambda labels: Power(labels, q=0.0),
    "reverse": lambda labels: Power(labels, q=-1.0),
    "effective_number_per_class": EffectiveNumber,
}
DRAWS = 200_000
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])


def drawn(sampler: Weighted) -> Tensor:
    """Return as many drawn indices as make `DRAWS`, all at the sampler's present time."""
    rounds = -(-DRAWS // sampler.size)
    return torch.cat([sampler.draw(seeds.generator(0, number)) for number in range(rounds)])


@pytest.mark.parametrize("name", list(STATIC))
@every_case
def test_classes_come_as_often_as_the_public_code_says(
    case: dict[str, Any], name: str, labels_of, within_four_sigma
) -> None:
    labels = labels_of(case["counts"])
    found = per_class(labels[drawn(STATIC[name](labels))], len(case["counts"])).double()
    assert within_four_sigma(found, torch.tensor(case["expected"][name], dtype=torch.float64))


@every_case
def test_progressive_counts_from_zero_what_the_public_code_counts_from_one(
    case: dict[str, Any], labels_of, within_four_sigma
) -> None:
    labels, classes, epochs = labels_of(case["counts"]), len(case["counts"]), case["params"]["total_epochs"]
    sampler = Progressive(labels)
    for epoch, expected in case["expected"]["progressive_by_epoch"].items():
        sampler.set_epoch(int(epoch) - 1, epochs)
        shares, probabilities = sampler.shares(), torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(shares / shares.sum(), probabilities, rtol=1e-9, atol=1e-12)
        if epoch in ("1", "161", "200"):
            assert within_four_sigma(per_class(labels[drawn(sampler)], classes).double(), probabilities)


@pytest.mark.parametrize("q", [0.5, 0.0, -1.0])
def test_images_of_a_class_come_equally_often(q: float, labels_of, within_four_sigma) -> None:
    counts = torch.tensor([100, 40, 10, 5, 1])
    labels = labels_of(counts.tolist())
    shares = counts.double().pow(q)
    found = per_class(drawn(Power(labels, q=q)), len(labels)).double()
    assert within_four_sigma(found, (shares / shares.sum() / counts)[labels])


def test_instance_sampling_shows_every_image_once(labels_of) -> None:
    order = list(Power(labels_of([30, 9, 2])))
    assert sorted(order) == list(range(41))
    assert order != sorted(order)


def test_effective_numbers_without_overlap_are_instances(labels_of) -> None:
    sampler = EffectiveNumber(labels_of([30, 9, 2]), beta=0.0)
    assert sampler.shares().tolist() == [30, 9, 2]
