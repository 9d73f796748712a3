"""A loss on every expert, and the one for the rarest classes."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from official import LABELS, LOGITS, LONG_TAIL, TOY, batch

from ltr.contracts import Loss, LossFactory, Output
from ltr.errors import InputError
from ltr.losses import (
    GML,
    RIDE,
    SHIKE,
    BalancedSoftmax,
    CrossEntropy,
    Deferred,
    FeatureBalanced,
    InverseSoftmax,
    PerExpert,
    SupCon,
)

EXPERTS = torch.stack([LOGITS, LOGITS.flip(1), 2 * LOGITS])
OUTPUT = Output(EXPERTS.mean(0), torch.arange(24.0).reshape(4, 6), experts=EXPERTS)


class Features(Loss):
    """The sum of the features."""

    def forward(self, output: Output, labels: torch.Tensor) -> torch.Tensor:
        return output.features.sum(1)


def test_one_loss_is_for_all() -> None:
    values = PerExpert(TOY, losses=[BalancedSoftmax])(OUTPUT, LABELS)
    expected = sum(BalancedSoftmax(TOY)(Output(logits, logits), LABELS) for logits in EXPERTS)
    torch.testing.assert_close(values, expected)


def test_one_loss_each_is_sade() -> None:
    kinds = (CrossEntropy, BalancedSoftmax, InverseSoftmax)
    values = PerExpert(TOY, losses=kinds)(OUTPUT, LABELS)
    expected = sum(kind(TOY)(Output(logits, logits), LABELS) for kind, logits in zip(kinds, EXPERTS, strict=True))
    torch.testing.assert_close(values, expected)


def test_a_loss_sees_the_features_of_its_expert() -> None:
    values = PerExpert(TOY, losses=[CrossEntropy, Features, CrossEntropy])(OUTPUT, LABELS)
    rest = CrossEntropy(TOY)
    expected = OUTPUT.features[:, 2:4].sum(1)
    for logits in EXPERTS[[0, 2]]:
        expected = expected + rest(Output(logits, logits), LABELS)
    torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("kind", [PerExpert, partial(RIDE, loss=CrossEntropy), SHIKE])
def test_features_are_needed_only_by_losses_that_need_them(kind: LossFactory) -> None:
    with_features = OUTPUT._replace(scale=30.0)
    without = Output(OUTPUT.logits, experts=EXPERTS, scale=30.0)
    assert torch.equal(kind(TOY)(without, LABELS), kind(TOY)(with_features, LABELS))
    with pytest.raises(InputError, match="FeatureBalanced needs features: pass"):
        PerExpert(TOY, losses=[FeatureBalanced])(without, LABELS)


@pytest.mark.parametrize("losses", [[CrossEntropy] * 2, [CrossEntropy] * 4])
def test_losses_and_experts_are_equally_many(losses: list[type[Loss]]) -> None:
    with pytest.raises(InputError, match=f"{len(losses)} losses for 3 experts"):
        PerExpert(TOY, losses=losses)(OUTPUT, LABELS)


def test_it_needs_a_loss_and_experts() -> None:
    with pytest.raises(InputError, match="PerExpert needs at least one loss"):
        PerExpert(TOY, losses=[])
    with pytest.raises(InputError, match="needs several experts"):
        PerExpert(TOY)(Output(LOGITS, LOGITS), LABELS)


def test_it_is_what_its_parts_are() -> None:
    assert (PerExpert(TOY).batch_level, PerExpert(TOY).mixable) == (False, True)
    tuned = PerExpert(TOY, losses=[CrossEntropy, GML, SupCon])
    assert (tuned.batch_level, tuned.mixable) == (True, False)
    assert PerExpert(TOY, losses=[Deferred]).notes(2) == Deferred(TOY).notes(2) != []


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("tau", [0.0, 1.0, 2.0])
def test_inverse_softmax_as_a_loop(tau: float) -> None:
    output, labels = batch()
    tail = [count + (99 - label) / 1000 for label, count in enumerate(LONG_TAIL)]  # no two classes alike
    shares = [count / sum(tail) for count in tail]
    expected = []
    for row, label in zip(output.logits.tolist(), labels.tolist(), strict=True):
        moved = [z + math.log(shares[c]) - tau * math.log(shares[99 - c]) for c, z in enumerate(row)]
        expected.append(-math.log(math.exp(moved[label]) / sum(map(math.exp, moved))))
    found = InverseSoftmax(torch.tensor(tail), tau=tau)(output, labels)
    assert found.tolist() == pytest.approx(expected, rel=1e-10)


def test_inverse_softmax_whatever_the_order_of_the_classes() -> None:
    counts = torch.tensor([3, 50, 7])  # shares 3, 50, 7 -> 50, 3, 7
    shares, inverse = counts / 60, torch.tensor([50, 3, 7]) / 60
    torch.testing.assert_close(InverseSoftmax(counts).offsets, shares.log() - 2 * inverse.log())


def test_equal_classes_hear_the_same() -> None:
    offsets = InverseSoftmax(torch.tensor([8, 1, 8, 1, 1])).offsets
    assert offsets[0] == offsets[2]
    assert offsets[1] == offsets[3] == offsets[4]
    assert InverseSoftmax(torch.tensor([5, 5, 5])).offsets.std() == 0


def test_no_inverse_prior_is_balanced_softmax() -> None:
    output = Output(LOGITS, LOGITS)
    torch.testing.assert_close(InverseSoftmax(TOY, tau=0)(output, LABELS), BalancedSoftmax(TOY)(output, LABELS))
