"""Class priorities: in training against torch's own class weights, after training against the odds by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from ltr import callbacks, losses
from ltr.backbones import ResNet20
from ltr.contracts import Output
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.methods import Method

COUNTS, NAMES = [20, 11, 6], ["yield", "stop", "turn"]
LOGITS, LABELS = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 3


@pytest.mark.parametrize("key", [1, "stop"])
def test_the_mean_is_the_weighted_mean_of_torch(key: int | str) -> None:
    loss = losses.ClassWeights(COUNTS, weights={key: 5.0})
    loss.name_classes(NAMES)
    expected = F.cross_entropy(LOGITS, LABELS, weight=torch.tensor([1.0, 5.0, 1.0]))
    torch.testing.assert_close(loss(LOGITS, LABELS).mean(), expected)


def test_a_loss_within_others_gets_the_names() -> None:
    def weighted(counts: Any) -> losses.ClassWeights:
        return losses.ClassWeights(counts, weights={"turn": 2.0}, weighted_mean=False)

    loss = losses.Combined(COUNTS, losses=[losses.CrossEntropy, weighted])
    with pytest.raises(InputError, match="ClassWeights needs the names of the classes"):
        loss(LOGITS, LABELS)
    loss.name_classes(NAMES)
    plain = F.cross_entropy(LOGITS, LABELS, reduction="none")
    torch.testing.assert_close(loss(LOGITS, LABELS), torch.where(LABELS == 2, 3 * plain, 2 * plain))


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        ({"stopp": 5.0}, "names the class stopp, which does not exist; did you mean stop"),
        ({3: 5.0}, "names the class 3, which does not exist"),
        ({"stop": 5.0, 1: 2.0}, "has two weights for the class stop: give its name or its index"),
        ({-1: 5.0}, "names the class -1, which does not exist"),
        ({"stop": 0.0}, "`weights` of ClassWeights must be above 0, not 0"),
    ],
)
def test_what_cannot_be_weighted_is_said(weights: dict[str | int, float], why: str) -> None:
    with pytest.raises(InputError, match=why):
        losses.ClassWeights(COUNTS, weights=weights).name_classes(NAMES)


def test_a_batch_level_loss_is_referred_to_the_callback() -> None:
    with pytest.raises(InputError, match="after training with the callback `ClassWeights`"):
        losses.ClassWeights(COUNTS, loss=losses.GML)


def test_the_odds_of_a_class_are_multiplied() -> None:
    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts)
    method.classes = ["a", "b", "stop", "d", "e"]
    adjustment = callbacks.ClassWeights({"stop": 5.0, 0: 0.5})
    adjustment.prepare(method, data)
    logits = torch.randn(7, 5)
    weights = torch.tensor([0.5, 1.0, 5.0, 1.0, 1.0])
    expected = logits.softmax(1) * weights
    found = adjustment.adjust(method, Output(logits)).probabilities
    torch.testing.assert_close(found, expected / expected.sum(1, keepdim=True))


def test_the_command_line_takes_names_and_indices(tiny, ltr, capsys) -> None:
    assert tiny('--config class_weights.yaml --model.loss.weights {"0":2,"3":4.0} --name a') == 0
    words = "--config post_hoc_class_weights.yaml --evaluation b --trainer.callbacks.weights"
    assert ltr(f'test --ckpt_path a {words} {{"2":5}}') == 0
    metrics = json.loads(Path("checkpoints/a/b/metrics.json").read_text())
    assert metrics["adjustments"] == [{"ClassWeights": {"weights": {"2": 5.0}}}]
    assert ltr(f'test --ckpt_path a {words} {{"nothing":5}}') == 2
    assert "names the class nothing, which does not exist" in capsys.readouterr().err
