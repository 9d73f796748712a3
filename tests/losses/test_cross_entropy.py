"""Cross-entropy, by hand and as a slow loop."""

from __future__ import annotations

import math

import pytest
import torch
from official import LABELS, LOGITS, TOY, toy

from ltr.contracts import Output
from ltr.losses import CrossEntropy


def test_toy() -> None:
    values = toy(CrossEntropy(TOY))
    assert values.tolist() == pytest.approx([0.169846, 0.958020, 1.680270, 2.407606], abs=5.1e-7)


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop() -> None:
    logits = 4 * torch.randn(20, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 7
    expected = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        expected.append(-math.log(math.exp(row[label]) / sum(math.exp(logit) for logit in row)))
    values = CrossEntropy(torch.ones(7))(Output(logits, logits), labels)
    assert values.tolist() == pytest.approx(expected, rel=1e-12)


def test_the_counts_are_not_used() -> None:
    output = Output(LOGITS, LOGITS)
    some, others = CrossEntropy(torch.tensor([9, 1, 1])), CrossEntropy(torch.tensor([1, 5, 0]))
    assert torch.equal(some(output, LABELS), others(output, LABELS))
