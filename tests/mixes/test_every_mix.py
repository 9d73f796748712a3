"""What every mix owes. Nothing is listed here: a new `Mix` is tested because it is exported."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import ltr.mixes
from ltr.backbones import ResNet20
from ltr.contracts import Batch, Mix, Target
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.losses import GML
from ltr.methods import Method
from ltr.mixes.pairwise import Pairwise

MIXES = [getattr(ltr.mixes, name) for name in ltr.mixes.__all__]
COUNTS = [30, 9, 2]
every_mix = pytest.mark.parametrize("kind", MIXES, ids=lambda kind: kind.__name__)


def batch(size: int = 12) -> Batch:
    """Draw images and labels of all classes."""
    labels = torch.arange(size) % 3
    return Batch(torch.randn(size, 3, 8, 8, generator=torch.Generator().manual_seed(0)), labels, labels)


def built(kind: type[Mix]) -> Method:
    """Return a small network with the mix, in evaluation mode, where a sample does not depend on the others."""
    return Method(ResNet20(width=2), COUNTS, mix=kind).eval()


def soft(target: Target, classes: int) -> Tensor:
    """Return (B, C) the labels of a target as probabilities."""
    if target.partners is None or target.weights is None:
        return F.one_hot(target.labels, classes).float()
    shares = target.weights[:, None]
    return shares * F.one_hot(target.labels, classes) + (1 - shares) * F.one_hot(target.partners, classes)


@every_mix
def test_a_share_of_one_is_the_identity(kind: type[Mix], monkeypatch) -> None:
    monkeypatch.setattr(Pairwise, "draw", lambda _: 1.0)
    model, (images, labels, *_) = built(kind), batch()
    plain = model(images)
    mixed, target = model.mix(images, labels)
    assert torch.equal(mixed, images)
    assert torch.equal(model(mixed).logits, plain.logits)
    torch.testing.assert_close(soft(target, 3), F.one_hot(labels, 3).float())


@every_mix
def test_the_step_is_cross_entropy_with_soft_labels(kind: type[Mix]) -> None:
    model, given = built(kind), batch()
    torch.manual_seed(4)
    mixed, target = model.mix(given.images, given.labels)
    logits = model(mixed).logits
    torch.manual_seed(4)
    found = model.training_step(given, 0)
    torch.testing.assert_close(found, F.cross_entropy(logits, soft(target, 3)))
    assert target.weights is None or (target.weights >= 0).logical_and(target.weights <= 1).all()


@every_mix
def test_the_global_generator_decides(kind: type[Mix]) -> None:
    model, given = built(kind), batch()
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(torch.stack([model.training_step(given, 0) for _ in range(8)]))
    assert torch.equal(losses[0], losses[1])
    assert not torch.equal(losses[0], losses[2])


@every_mix
def test_the_batch_is_left_as_it_was(kind: type[Mix]) -> None:
    model, given = built(kind), batch()
    before = given.images.clone()
    for _ in range(8):
        model.training_step(given, 0)
    assert torch.equal(given.images, before)


@every_mix
def test_a_checkpoint_never_depends_on_the_mix(kind: type[Mix]) -> None:
    assert built(kind).state_dict().keys() == Method(ResNet20(width=2), COUNTS).state_dict().keys()


@every_mix
def test_a_loss_without_a_meaning_for_blends_refuses(kind: type[Mix]) -> None:
    with pytest.raises(InputError, match="GML has no meaning for blended labels: leave out the mix"):
        Method(ResNet20(width=2), COUNTS, mix=kind, loss=GML)


@pytest.mark.slow_but_one
@every_mix
@pytest.mark.usefixtures("double")  # rounding differs between processors, and in float32 it changes predictions
def test_a_training_with_it_learns(kind: type[Mix], trainer: Callable) -> None:
    data = Synthetic(largest=40, batch_size=8)
    model = Method(
        ResNet20(width=4),
        data.counts,
        mix=kind,
        optimizer=lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
    )
    trainer(20, precision="64-true").fit(model, datamodule=data)
    assert model.reports["train"].top1 > 0.53 > max(data.counts) / sum(data.counts)


@every_mix
def test_is_documented(kind: type[Mix]) -> None:
    assert "https://" in (inspect.getdoc(kind) or "").partition("Reference:")[2]
