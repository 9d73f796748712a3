"""The classifiers."""

from __future__ import annotations

import math

import pytest
import torch

from ltr.contracts import Head
from ltr.heads import Cosine, Linear

FEATURES = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", [Linear, Cosine])
def test_output(kind: type[Head]) -> None:
    output = kind(8, 5)(FEATURES)
    assert output.logits.shape == (6, 5)
    assert output.features is FEATURES
    assert output.embeddings is None
    assert output.experts is None


def test_linear_is_linear() -> None:
    head = Linear(8, 5)
    expected = FEATURES @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head(FEATURES).logits, expected)
    assert set(head.state_dict()) == {"fc.weight", "fc.bias"}
    assert set(Linear(8, 5, bias=False).state_dict()) == {"fc.weight"}


def test_linear_starts_kaiming_normal() -> None:
    torch.manual_seed(0)
    weight = Linear(64, 2000).fc.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.02)


def test_cosine_is_the_scaled_angle() -> None:
    head = Cosine(8, 5, scale=7)
    expected = [[7 * torch.cosine_similarity(h, w, 0).item() for w in head.weight] for h in FEATURES]
    torch.testing.assert_close(head(FEATURES).logits, torch.tensor(expected))


def test_cosine_does_not_hear_lengths() -> None:
    head = Cosine(8, 5)
    before = head(FEATURES).logits
    with torch.no_grad():
        head.weight.mul_(3)
    torch.testing.assert_close(head(10 * FEATURES).logits, before)
    assert before.abs().max() <= 30
    assert head(torch.zeros(1, 8)).logits.isfinite().all()
