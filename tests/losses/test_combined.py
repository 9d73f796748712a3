"""Sums of losses, against the official numbers of the parts."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from official import TOY, Tolerance, agree, cases, counts, read, toy

from ltr.errors import InputError
from ltr.losses import GML, BalancedSoftmax, Combined, CrossEntropy, Deferred, Focal, SigmoidFocal

FOCAL = {case["name"]: case for case in read("focal")}


@cases("focal", lambda case: case["params"]["form"] == "softmax")
def test_is_the_sum_of_the_official_numbers(case: dict[str, Any], tolerance: Tolerance) -> None:
    other = FOCAL[case["name"].replace("softmax", "sigmoid")]
    assert case["logits"] == other["logits"]
    softmax = partial(Focal, gamma=case["params"]["gamma"])
    sigmoid = partial(SigmoidFocal, gamma=other["params"]["gamma"])
    loss = Combined(counts(case), losses=[softmax, sigmoid], weights=[0.25, 2.0])
    first, second = case["expected"], other["expected"]
    gradient = 0.25 * torch.tensor(first["grad_logits"]) + 2 * torch.tensor(second["grad_logits"])
    expected = {"loss": 0.25 * first["loss"] + 2 * second["loss"], "grad_logits": gradient.tolist()}
    agree(loss, case, tolerance, expected=expected)


def test_weights_are_one_where_none_are_given() -> None:
    torch.testing.assert_close(toy(Combined(TOY)), toy(CrossEntropy(TOY)) + toy(BalancedSoftmax(TOY)))


def test_it_is_what_its_parts_are() -> None:
    assert not Combined(TOY).batch_level
    tuned = Combined(TOY, losses=[CrossEntropy, GML])
    assert tuned.batch_level
    assert not tuned.mixable


def test_its_parts_hear_the_time() -> None:
    loss = Combined(TOY, losses=[CrossEntropy, Deferred])
    loss.set_epoch(8, 10)
    assert loss.parts[1].started
    assert loss.notes(2) == Deferred(TOY).notes(2) != []


@pytest.mark.parametrize(("losses", "weights"), [([], None), ([CrossEntropy], [1.0, 2.0])])
def test_a_loss_without_weight_or_the_reverse_is_refused(losses: list[Any], weights: list[float] | None) -> None:
    with pytest.raises(InputError, match="one weight for each loss"):
        Combined(TOY, losses=losses, weights=weights)


def test_a_sum_can_be_written_on_the_command_line(tiny) -> None:
    words = '{"class_path":"Combined","init_args":{"losses":["CrossEntropy","GML"],"weights":[1,0.5]}}'
    assert tiny(f"--trainer.max_epochs 1 --model.loss {words}") == 0
