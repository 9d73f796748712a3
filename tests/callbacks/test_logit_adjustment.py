"""Post-hoc logit adjustment."""

from __future__ import annotations

import math

import pytest
import torch

from ltr.backbones import ResNet20
from ltr.callbacks import LogitAdjustment
from ltr.contracts import Output
from ltr.data import Synthetic
from ltr.losses import BalancedSoftmax
from ltr.methods import Method

COUNTS = [90, 9, 1]
LOGITS = 2 * torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


def method() -> Method:
    """Return a method trained on `COUNTS`."""
    return Method(ResNet20(width=2), COUNTS)


def adjusted(network: Method, adjustment: LogitAdjustment, output: Output) -> Output:
    """Return the output as an evaluation adjusts it."""
    adjustment.prepare(network, Synthetic())
    return adjustment.adjust(network, output)


@pytest.mark.parametrize("tau", [0.0, 1.0, 1.5])
def test_the_formula_as_a_loop(tau: float) -> None:
    output = Output(LOGITS, LOGITS)
    found = adjusted(method(), LogitAdjustment(tau), output)
    for row, result in zip(LOGITS.tolist(), found.logits.tolist(), strict=True):
        expected = [logit - tau * math.log(count / 100) for logit, count in zip(row, COUNTS, strict=True)]
        assert result == pytest.approx(expected, rel=1e-5)
    assert found.features is LOGITS
    assert LogitAdjustment(tau).settings == {"tau": tau}


def test_it_undoes_what_balanced_softmax_adds() -> None:
    undone = adjusted(method(), LogitAdjustment(1.0), Output(LOGITS, LOGITS))
    labels = torch.arange(7) % 3
    found = BalancedSoftmax(torch.tensor(COUNTS))(undone, labels)
    torch.testing.assert_close(found, -LOGITS.log_softmax(1)[torch.arange(7), labels])


def test_half_precision_is_adjusted_in_float32() -> None:
    found = adjusted(method(), LogitAdjustment(), Output(LOGITS.bfloat16(), LOGITS))
    assert found.logits.dtype == torch.float32


def test_the_counts_are_those_of_the_training() -> None:
    network = method()
    network.load_state_dict(network.state_dict() | {"counts": torch.tensor([1, 9, 90])})
    found = adjusted(network, LogitAdjustment(), Output(LOGITS, LOGITS)).logits - LOGITS
    assert found.mean(0).tolist() == pytest.approx([-math.log(count / 100) for count in (1, 9, 90)], rel=1e-5)
