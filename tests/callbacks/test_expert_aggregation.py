"""The weights of the experts, learned on the test images themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ltr.backbones import MultiExpert, ResNet20
from ltr.callbacks import ExpertAggregation
from ltr.callbacks.expert_aggregation import stability, weighted
from ltr.contracts import Backbone, Output
from ltr.data import Plain, SADEView, Synthetic
from ltr.errors import InputError
from ltr.heads import ExpertHeads, Linear
from ltr.methods import Method

Make = Callable[..., Trainer]


class Colours(Backbone):
    """The mean colours of an image, followed by its single pixels."""

    experts = 2

    def __init__(self) -> None:
        super().__init__()
        self.dim = 6

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images.mean((2, 3)), images[:, :, 0, 0]], 1)


def stable_first(data: Synthetic) -> Method:
    """Return two experts with the same weights, of which the first looks at means and the second at single pixels."""
    method = Method(Colours(), data.counts, head=partial(ExpertHeads, experts=2, head=Linear))
    with torch.no_grad():
        method.head.heads[0].fc.weight.mul_(4)
        method.head.heads[1].load_state_dict(method.head.heads[0].state_dict())
    return method


def experts(data: Synthetic) -> Method:
    """Return three small experts."""
    return Method(MultiExpert(partial(ResNet20, width=2)), data.counts, head=ExpertHeads)


def learned(trainer: Make, method: Method, data: Synthetic, **options: Any) -> ExpertAggregation:
    """Return the callback after a test."""
    aggregation = ExpertAggregation(**options)
    trainer(callbacks=[aggregation]).test(method, datamodule=data, verbose=False)
    return aggregation


def test_the_stabler_expert_weighs_more(trainer: Make) -> None:
    data = Synthetic(test_per_class=20)
    method = stable_first(data)
    weights = learned(trainer, method, data, batch_size=10).weights
    assert sum(weights) == pytest.approx(1)
    assert weights[0] > 0.6
    method.head.heads = torch.nn.ModuleList(reversed(method.head.heads))  # the weights are the same: nothing changes
    assert learned(trainer, method, data, batch_size=10).weights == pytest.approx(weights)


def test_an_expert_that_hardly_weighs_ends_the_training(trainer: Make) -> None:
    data = Synthetic(test_per_class=20)
    long = learned(trainer, stable_first(data), data, batch_size=10, epochs=40, lr=1.0)
    assert 0.0001 < min(long.weights) < 0.05
    longer = learned(trainer, stable_first(data), data, batch_size=10, epochs=40, lr=1.0, floor=0)
    assert min(longer.weights) < min(long.weights)


def test_labels_are_never_looked_at(trainer: Make) -> None:
    weights = []
    for shift in (0, 1):
        data = Synthetic()
        data.setup("test")
        torch.manual_seed(3)
        split = data.splits["test"]
        data.splits["test"] = split._replace(labels=(split.labels + shift) % 5)
        weights.append(learned(trainer, experts(data), data).weights)
    assert weights[0] == weights[1]
    assert weights[0] != [pytest.approx(1 / 3, abs=1e-6)] * 3


def test_the_same_weights_whatever_was_drawn_before(trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Synthetic()
    method = experts(data)
    first = learned(trainer, method, data).weights
    torch.rand(7)
    state = torch.get_rng_state()
    assert learned(trainer, method, data).weights == first
    assert torch.equal(torch.get_rng_state(), state), "an evaluation draws nothing from what others draw from"
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    assert learned(trainer, method, data).weights != first


def test_logits_are_the_weighted_sum(trainer: Make) -> None:
    data = Synthetic()
    method, aggregation = experts(data), ExpertAggregation()
    answers = trainer(callbacks=[aggregation]).predict(method, datamodule=data)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    for answer in answers:
        parts = zip(aggregation.weights, answer.output.experts, strict=True)
        torch.testing.assert_close(answer.output.logits, sum(weight * logits for weight, logits in parts))
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())
    assert aggregation.settings["weights"] == aggregation.weights
    assert not method.adjustments


def test_half_precision_does_not_round_the_sum() -> None:
    weights, logits = torch.tensor([0.3, 0.7]), 10 * torch.randn(2, 6, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert weighted(weights, logits).dtype == torch.float32


def test_stability_as_a_loop() -> None:
    first, second = torch.randn(2, 3, 4, 5).unbind()
    weights = torch.tensor([0.2, 0.5, 0.3])
    expected = 0.0
    for sample in range(4):
        views = [
            sum(w * logits[sample] for w, logits in zip(weights, view, strict=True)).softmax(0)
            for view in (first, second)
        ]
        expected += (views[0] @ views[1] / views[0].norm() / views[1].norm()).item() / 4
    assert stability(weights, first, second).item() == pytest.approx(expected, rel=1e-5)


def test_without_views_every_expert_is_stable(trainer: Make) -> None:
    data = Synthetic()
    assert learned(trainer, experts(data), data, augment=Plain()).weights == pytest.approx([1 / 3] * 3)


def test_it_needs_experts(trainer: Make) -> None:
    data = Synthetic()
    with pytest.raises(InputError, match="ExpertAggregation needs the logits of all experts"):
        learned(trainer, Method(ResNet20(width=2), data.counts), data)
    single = Output(torch.zeros(1, 2), torch.zeros(1, 2), experts=torch.tensor([[[1.0, 2]], [[torch.nan] * 2]]))
    with pytest.raises(InputError, match="the logits of all experts"):
        ExpertAggregation().adjust(experts(data), single)


def test_the_view_changes_colours_and_little_else() -> None:
    images = torch.randint(0, 256, (400, 3, 32, 32), dtype=torch.uint8)
    views = SADEView()(images)
    assert (views.dtype, views.shape) == (torch.uint8, images.shape)
    grey = ((views[:, 0] == views[:, 1]) & (views[:, 1] == views[:, 2])).flatten(1).all(1)
    assert 0.12 < grey.float().mean() < 0.28
    torch.manual_seed(0)
    first = SADEView()(images)
    torch.manual_seed(0)
    assert torch.equal(SADEView()(images), first)
