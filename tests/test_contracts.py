"""The parts of the vocabulary that compute something."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ltr.contracts import Backbone, Output, Target
from ltr.losses import CrossEntropy

LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
LABELS, PARTNERS = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
LOSS = CrossEntropy(torch.ones(3))


def test_a_plain_target_is_its_loss() -> None:
    output = Output(LOGITS, LOGITS)
    assert torch.equal(Target(LABELS).blend(LOSS, output), LOSS(output, LABELS))


def test_a_blended_target_is_the_loss_of_soft_labels() -> None:
    weights = torch.tensor([1.0, 0.3, 0.5, 0.0])
    soft = torch.zeros(4, 3)
    for row, (label, partner, weight) in enumerate(zip(LABELS, PARTNERS, weights, strict=True)):
        soft[row, label] += weight
        soft[row, partner] += 1 - weight
    expected = -(soft * LOGITS.log_softmax(1)).sum(1)
    found = Target(LABELS, PARTNERS, weights).blend(LOSS, Output(LOGITS, LOGITS))
    torch.testing.assert_close(found, expected)


def test_a_backbone_runs_its_stages_in_order_and_pools() -> None:
    class Tiny(Backbone):
        stages = ("second", "first")

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.dim = nn.Conv2d(5, 2, 1), nn.Conv2d(3, 5, 3), 2

    backbone, images = Tiny(), torch.randn(4, 3, 6, 6)
    expected = backbone.first(backbone.second(images)).mean((2, 3))
    torch.testing.assert_close(backbone(images), expected)
    assert backbone.load() == {}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_losses_are_precise(dtype: torch.dtype) -> None:
    assert CrossEntropy.precise(LOGITS.to(dtype)).dtype == torch.float32
    assert CrossEntropy.precise(LOGITS.double()).dtype == torch.float64
